// Small made-up vocabularies, to test encoding beyond the vocabularies that exist. For tests only.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace beryl::text {

// Characters of the made-up vocabularies; 'x' and U+00E9 have no token and are spelt in bytes.
inline constexpr std::string_view kMadeUpAlphabet = "ab<|\u2581\n\u4E2D\U0001F999";

// A vocabulary with up to `merge_count` merges; `next_random(n)` gives numbers below n and decides them. Its
// special tokens are "<|", "<|a", "b<|" and "|<". A piece may be made by several merges, and some can never
// be reached, as in real vocabularies.
template <typename NextRandom>
TokenizerTables make_random_tables(size_t merge_count, NextRandom next_random) {
  constexpr std::string_view kSpecials[] = {"<|", "<|a", "b<|", "|<"};
  std::vector<std::string> texts = {"<unk>"};
  static constexpr std::string_view kHexDigits = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte) {
    texts.push_back(std::string("<0x") + kHexDigits[byte / 16] + kHexDigits[byte % 16] + ">");
  }
  std::vector<SpecialToken> specials;
  for (const std::string_view special : kSpecials) {
    specials.push_back({static_cast<int32_t>(texts.size()), std::string(special)});
    texts.emplace_back(special);
  }
  std::vector<int32_t> parts;  // ids of the tokens that merges may join
  for (size_t offset = 0; offset < kMadeUpAlphabet.size();) {
    const size_t byte_count = read_utf8(kMadeUpAlphabet, offset).byte_count;
    parts.push_back(static_cast<int32_t>(texts.size()));
    texts.emplace_back(kMadeUpAlphabet.substr(offset, byte_count));
    offset += byte_count;
  }
  std::vector<Merge> merges;
  std::set<std::pair<int32_t, int32_t>> pairs;
  for (size_t attempt = 0; attempt < merge_count; ++attempt) {
    const int32_t left = parts[next_random(parts.size())];
    const int32_t right = parts[next_random(parts.size())];
    const std::string product = texts[static_cast<size_t>(left)] + texts[static_cast<size_t>(right)];
    if (product.size() > 64 || !pairs.emplace(left, right).second) continue;
    size_t id = 0;
    while (id < texts.size() && texts[id] != product) ++id;
    if (id > 256 && id <= 256 + specials.size()) continue;
    if (id == texts.size()) {
      texts.push_back(product);
      parts.push_back(static_cast<int32_t>(id));
    }
    merges.push_back({left, right, static_cast<int32_t>(id)});
  }
  // Ranks are independent of the order in which pieces were made up.
  for (size_t i = merges.size(); i > 1; --i) std::swap(merges[i - 1], merges[next_random(i)]);
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  Vocabulary vocabulary(views);
  MergeTable merge_table(merges);
  CutPoints cut_points(merges, vocabulary);
  return {std::move(vocabulary), std::move(merge_table), std::move(cut_points),
          SpecialTokenSet(std::move(specials))};
}

}  // namespace beryl::text
