// The tokens that control the model, and how they are found in text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beryl::text {

inline constexpr size_t kSpecialTokensMax = 4096;  // Gemma 4 has 24

struct SpecialToken {
  int32_t id = 0;
  std::string text;
};

struct SpecialMatch {
  int32_t id = 0;
  size_t begin = 0;  // bytes
  size_t end = 0;
};

// Immutable once built; any number of threads may use it at once.
class SpecialTokenSet {
 public:
  // Texts are not empty. Errors: kInvalidInput when a text or an id is there twice.
  explicit SpecialTokenSet(std::vector<SpecialToken> tokens);

  // The first match that lies inside bytes [begin, end) of `text`; of those that start at the same place the
  // longest.
  std::optional<SpecialMatch> find_next(std::string_view text, size_t begin, size_t end) const;

  std::optional<int32_t> find(std::string_view token) const;
  bool contains(int32_t id) const;

  // Ascending by text.
  const std::vector<SpecialToken>& tokens() const { return tokens_; }

 private:
  std::optional<SpecialMatch> find_longest_at(std::string_view text, size_t begin, size_t end) const;

  std::vector<SpecialToken> tokens_;  // ascending by text, compared as bytes
  std::vector<int32_t> ids_;          // ascending
  std::string first_bytes_;           // with which a token may start
};

}  // namespace beryl::text
