// The tokens of a vocabulary: text of an id, id of a text, id of a single character or byte.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beryl::text {

inline constexpr size_t kVocabularySizeMax = size_t{1} << 20;  // four times Google's; an id fits in 20 bits
inline constexpr size_t kTokenBytesMax = 1024;                 // Google's longest has 93

// Immutable once built; any number of threads may use it at once.
class Vocabulary {
 public:
  // `texts[id]` is the text of token `id`, as written in the file: valid UTF-8, copied into the vocabulary.
  // Errors: kInvalidInput when a text is empty, longer than kTokenBytesMax or there twice, when one of the
  // 256 byte tokens <0x00> ... <0xFF> is missing or spelt differently, or when there are too many tokens.
  explicit Vocabulary(std::span<const std::string_view> texts);

  int32_t size() const { return static_cast<int32_t>(offsets_.size()) - 1; }
  bool contains(int32_t id) const { return id >= 0 && id < size(); }

  // `id` is in the vocabulary. The view lives as long as the vocabulary.
  std::string_view text(int32_t id) const {
    const size_t index = static_cast<size_t>(id);
    return std::string_view(pool_).substr(offsets_[index], offsets_[index + 1] - offsets_[index]);
  }

  std::optional<int32_t> find(std::string_view token) const;

  // Id of the token that is just this character, or kNoToken.
  int32_t find_character(char32_t character) const {
    return character_ids_[character_pages_[character >> kPageBits] + (character & (kPageSize - 1))];
  }
  static constexpr int32_t kNoToken = -1;

  // Id of the token that stands for one byte of a character that has no token.
  int32_t byte_token(uint8_t byte) const { return byte_tokens_[byte]; }

  // The byte that token `id` stands for, if it is a byte token. `id` is in the vocabulary.
  std::optional<uint8_t> find_byte(int32_t id) const;

 private:
  // An open-addressing table: the tag is the upper half of the hash, so a text is hardly ever compared in
  // vain.
  struct Slot {
    uint32_t tag = 0;
    int32_t id = kNoToken;
  };
  static constexpr uint32_t kPageBits = 7;
  static constexpr uint32_t kPageSize = 1U << kPageBits;
  static constexpr uint32_t kPageCount = 0x110000U >> kPageBits;

  void copy_texts(std::span<const std::string_view> texts);
  void index_texts();
  void insert(int32_t id);
  void index_characters();
  void index_bytes();

  std::string pool_;                       // all texts, one after the other
  std::vector<uint32_t> offsets_;          // where each begins; one more at the end
  std::vector<Slot> slots_;                // a power of two, at most half full
  size_t displacement_max_ = 0;            // no token is farther than this from the slot of its hash
  std::vector<uint32_t> character_pages_;  // offset of each page of code points in character_ids_
  std::vector<int32_t> character_ids_;     // the first page is empty, shared by all pages without a token
  std::array<int32_t, 256> byte_tokens_{};
};

}  // namespace beryl::text
