// The vocabulary as a tree of bytes: tokens that begin alike are looked at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace beryl::text::grammar {

// One byte on the way to a token. Nodes stand in the order of a depth-first walk, so what begins with the
// bytes up to this one lies between it and `end`, and is skipped by going on there.
struct TrieNode {
  int32_t token = -1;  // the one that ends here, if any
  uint32_t end = 0;
  uint16_t depth = 0;  // bytes up to and with this one
  uint8_t byte = 0;
  // If all tokens from here on are plain text (see below), the characters of the longest; else kNotPlain.
  uint8_t plain_max = 0;
};
inline constexpr uint8_t kNotPlain = 255;

// The set of tokens that may come next: bit i % 64 of word i / 64 is token i. Bits past the vocabulary are
// zero.
using MaskWords = std::vector<uint64_t>;

inline void set_bit(MaskWords& words, int32_t token) {
  words[static_cast<size_t>(token) / 64] |= uint64_t{1} << (static_cast<uint32_t>(token) % 64);
}
inline bool has_bit(const MaskWords& words, int32_t token) {
  return ((words[static_cast<size_t>(token) / 64] >> (static_cast<uint32_t>(token) % 64)) & 1U) != 0;
}

// Immutable; any number of threads may use it at once. Build it once for a tokenizer: that takes a fraction
// of a second and some 10 MB for Google's vocabulary.
class TokenTrie {
 public:
  // Special tokens have no bytes here: no text spells them.
  explicit TokenTrie(const Tokenizer& tokenizer);

  int32_t vocabulary_size() const { return static_cast<int32_t>(offsets_.size()) - 1; }
  size_t mask_words() const { return (static_cast<size_t>(vocabulary_size()) + 63) / 64; }
  bool contains(int32_t token) const { return token >= 0 && token < vocabulary_size(); }
  // What a token adds to the output; empty for special tokens.
  std::string_view bytes(int32_t token) const {
    const size_t index = static_cast<size_t>(token);
    return std::string_view(pool_).substr(offsets_[index], offsets_[index + 1] - offsets_[index]);
  }
  std::optional<int32_t> find_special(std::string_view text) const;

  // All tokens. Of those with the same bytes the tree holds one; copy_twins() treats the others alike.
  std::span<const TrieNode> nodes() const { return nodes_; }
  size_t token_bytes_max() const { return token_bytes_max_; }

  // Plain text: nothing but characters that stand in a JSON string as they are. That is what most tokens are
  // made of; at many places in a grammar all are allowed, and the others are all that is in question.
  // The plain tokens of up to `characters` characters.
  const MaskWords& plain_tokens(uint32_t characters) const {
    return plain_tokens_[std::min<size_t>(characters, plain_tokens_.size() - 1)];
  }
  uint32_t plain_characters_max() const { return static_cast<uint32_t>(plain_tokens_.size() - 1); }
  // All tokens that are not plain.
  std::span<const TrieNode> nodes_without_plain() const { return other_nodes_; }

  // Gives tokens with the same bytes the same bit, that of the one in the tree.
  void copy_twins(MaskWords& words) const;

 private:
  struct Twin {
    int32_t token;
    int32_t in_tree;
  };

  void build_trees();

  std::string pool_;
  std::vector<uint32_t> offsets_;
  std::vector<SpecialToken> special_;
  std::vector<TrieNode> nodes_;
  std::vector<TrieNode> other_nodes_;
  std::vector<Twin> twins_;
  std::vector<MaskWords> plain_tokens_;  // by the number of characters, at least [0]
  size_t token_bytes_max_ = 0;
};

}  // namespace beryl::text::grammar
