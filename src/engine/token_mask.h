// The set of tokens that may come next, as one bit per token of the vocabulary.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace beryl::engine {

// Bit i % 64 of word i / 64 is token i. Bits past the vocabulary are zero.
class TokenMask {
 public:
  // No token is allowed yet.
  explicit TokenMask(int32_t vocab_size)
      : vocab_size_(vocab_size), words_((static_cast<size_t>(vocab_size) + 63) / 64) {}

  int32_t vocab_size() const { return vocab_size_; }
  // `token` must be in [0, vocab_size).
  void allow(int32_t token) { words_[word_of(token)] |= bit_of(token); }
  void forbid(int32_t token) { words_[word_of(token)] &= ~bit_of(token); }
  bool allows(int32_t token) const { return (words_[word_of(token)] & bit_of(token)) != 0; }
  std::span<const uint64_t> words() const { return words_; }
  // Exactly the tokens of these words, of which there may be fewer than here: the rest is forbidden.
  void assign(std::span<const uint64_t> words) {
    std::ranges::fill(std::ranges::copy(words, words_.begin()).out, words_.end(), uint64_t{0});
  }

 private:
  static size_t word_of(int32_t token) { return static_cast<size_t>(token) / 64; }
  static uint64_t bit_of(int32_t token) { return uint64_t{1} << (static_cast<uint32_t>(token) % 64); }

  int32_t vocab_size_;
  std::vector<uint64_t> words_;
};

}  // namespace beryl::engine
