// Encoding equals the plainly written rule, on made-up vocabularies; decoding gives the text back; special
// tokens appear only where they are allowed.
#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "text/random_tables.h"
#include "text/slow_encoder.h"
#include "text/tokenizer.h"

namespace {

using beryl::text::Span;
using beryl::text::SpecialOutput;
using beryl::text::SpecialTokens;
using beryl::text::Tokenizer;
using beryl::text::TokenizerTables;

constexpr size_t kVocabularyCount = 64;
constexpr size_t kCharactersMax = 400;  // the rule is quadratic

TokenizerTables make_tables(size_t index) {
  std::mt19937 random(static_cast<uint32_t>(index));
  return beryl::text::make_random_tables(index * 4, [&](size_t n) { return random() % n; });
}

// Made once: a vocabulary takes longer than encoding a text.
const std::vector<TokenizerTables>& vocabularies() {
  static const std::vector<TokenizerTables> made = [] {
    std::vector<TokenizerTables> all;
    for (size_t index = 0; index < kVocabularyCount; ++index) all.push_back(make_tables(index));
    return all;
  }();
  return made;
}

std::string text_from(const uint8_t* data, size_t size) {
  constexpr std::string_view kCharacters[] = {"a",  "b",      " ",          "<",      "|", "\u2581",
                                              "\n", "\u4E2D", "\U0001F999", "\u00E9", "x"};
  std::string text;
  for (size_t i = 0; i < std::min(size, kCharactersMax); ++i)
    text += kCharacters[data[i] % std::size(kCharacters)];
  return text;
}

std::string with_plain_spaces(std::string text) {
  constexpr std::string_view kVisibleSpace = "\u2581";
  for (size_t place = 0; (place = text.find(kVisibleSpace, place)) != std::string::npos;) {
    text.replace(place, kVisibleSpace.size(), " ");
  }
  return text;
}

// Encodes with special tokens allowed in the `spans`, and checks each token against the text that it covers.
void check_marked(const Tokenizer& tokenizer, const std::string& text, const std::vector<Span>& spans) {
  const std::vector<int32_t> ids = tokenizer.encode_marked(text, spans);
  BERYL_CHECK(tokenizer.decode(ids, SpecialOutput::kKeep) == with_plain_spaces(text));
  size_t offset = 0;
  for (const int32_t id : ids) {
    const bool is_byte = tokenizer.token_piece(id).byte.has_value();
    if (tokenizer.is_special(id)) {
      const size_t end = offset + tokenizer.token_text(id).size();
      BERYL_CHECK(std::ranges::any_of(
          spans, [&](const Span& span) { return span.begin <= offset && end <= span.end; }));
    }
    // A space of the text is one byte, U+2581 of the vocabulary three.
    for (std::string_view token = is_byte ? "-" : tokenizer.token_text(id); !token.empty();) {
      const size_t byte_count = beryl::text::read_utf8(token, 0).byte_count;
      offset += text[offset] == ' ' ? 1 : byte_count;
      token.remove_prefix(byte_count);
    }
  }
  BERYL_CHECK(offset == text.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  // Tokenizer owns its tables, so the slow encoder gets a second, equal set.
  const size_t index = data[0] % kVocabularyCount;
  const TokenizerTables& tables = vocabularies()[index];
  static const std::vector<Tokenizer> tokenizers(vocabularies().begin(), vocabularies().end());
  const Tokenizer& tokenizer = tokenizers[index];

  const std::string text = text_from(data + 4, size - 4);
  BERYL_CHECK(tokenizer.encode(text, SpecialTokens::kAsText) == beryl::text::slow_encode(text, tables));
  // Two spans with a gap between, wherever the input puts them.
  std::vector<size_t> borders = {data[1] % (text.size() + 1), data[2] % (text.size() + 1),
                                 data[3] % (text.size() + 1)};
  std::ranges::sort(borders);
  if (borders[0] < borders[1]) {
    check_marked(tokenizer, text, {{0, borders[0]}, {borders[1], borders[2]}});
  }
  check_marked(tokenizer, text, {{0, text.size()}});

  const std::string_view raw(reinterpret_cast<const char*>(data), std::min(size, kCharactersMax));
  try {
    BERYL_CHECK(tokenizer.encode(raw, SpecialTokens::kAsText) == beryl::text::slow_encode(raw, tables));
  } catch (const beryl::Error&) {
    BERYL_CHECK(beryl::text::find_invalid_utf8(raw).has_value());
  }
  return 0;
}
