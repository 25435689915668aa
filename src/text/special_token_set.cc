#include "text/special_token_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace beryl::text {

SpecialTokenSet::SpecialTokenSet(std::vector<SpecialToken> tokens) : tokens_(std::move(tokens)) {
  std::ranges::sort(tokens_, {}, &SpecialToken::text);
  for (const SpecialToken& token : tokens_) {
    ids_.push_back(token.id);
    if (first_bytes_.empty() || first_bytes_.back() != token.text[0]) first_bytes_.push_back(token.text[0]);
  }
  std::ranges::sort(ids_);
  if (const auto twin = std::ranges::adjacent_find(ids_); twin != ids_.end()) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("id {} is there twice", *twin));
  }
  const auto twin = std::ranges::adjacent_find(tokens_, {}, &SpecialToken::text);
  if (twin != tokens_.end()) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("'{}' is there twice", twin->text));
  }
}

std::optional<SpecialMatch> SpecialTokenSet::find_next(std::string_view text, size_t begin,
                                                       size_t end) const {
  const std::string_view scope = text.substr(0, end);
  while (true) {
    begin = scope.find_first_of(first_bytes_, begin);
    if (begin == std::string_view::npos) return std::nullopt;
    if (const auto match = find_longest_at(text, begin, end)) return match;
    ++begin;
  }
}

// Narrows the sorted tokens byte by byte to those that agree with the text.
std::optional<SpecialMatch> SpecialTokenSet::find_longest_at(std::string_view text, size_t begin,
                                                             size_t end) const {
  std::optional<SpecialMatch> longest;
  auto first = tokens_.begin();
  auto last = tokens_.end();
  for (size_t depth = 0; begin + depth < end; ++depth) {
    const auto byte_at_depth = [depth](const SpecialToken& token) {
      // A token that ends here sorts before all that go on.
      return depth < token.text.size() ? static_cast<int>(static_cast<uint8_t>(token.text[depth])) : -1;
    };
    const int wanted = static_cast<uint8_t>(text[begin + depth]);
    const auto range = std::ranges::equal_range(first, last, wanted, {}, byte_at_depth);
    if (range.empty()) break;
    first = range.begin();
    last = range.end();
    if (first->text.size() == depth + 1) longest = {first->id, begin, begin + depth + 1};
  }
  return longest;
}

std::optional<int32_t> SpecialTokenSet::find(std::string_view token) const {
  const auto place = std::ranges::lower_bound(tokens_, token, {}, &SpecialToken::text);
  if (place == tokens_.end() || place->text != token) return std::nullopt;
  return place->id;
}

bool SpecialTokenSet::contains(int32_t id) const {
  return std::ranges::binary_search(ids_, id);
}

}  // namespace beryl::text
