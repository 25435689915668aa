#include "text/grammar/token_trie.h"

#include <gtest/gtest.h>

#include <set>

#include "text/grammar/char_set.h"
#include "text/grammar/grammar_for_tests.h"
#include "text/utf8.h"

namespace beryl::text::grammar {
namespace {

// The tokens of a tree by walking it, with their bytes.
std::set<std::pair<std::string, int32_t>> tokens_of(std::span<const TrieNode> nodes) {
  std::set<std::pair<std::string, int32_t>> tokens;
  std::string bytes;
  for (const TrieNode& node : nodes) {
    bytes.resize(node.depth - 1U);
    bytes += static_cast<char>(node.byte);
    if (node.token >= 0) tokens.emplace(bytes, node.token);
  }
  return tokens;
}

size_t plain_length(std::string_view bytes) {
  if (bytes.empty() || find_invalid_utf8(bytes)) return 0;
  size_t count = 0;
  for (size_t at = 0; at < bytes.size(); ++count) {
    const Utf8Character character = read_utf8(bytes, at);
    if (!json_plain_characters().contains(character.value)) return 0;
    at += character.byte_count;
  }
  return count;
}

TEST(TokenTrie, HoldsEveryTokenOnce) {
  const TokenTrie& trie = *test_vocabulary().trie;
  const auto tokens = tokens_of(trie.nodes());
  std::set<std::string> spellings;
  for (const auto& [bytes, token] : tokens) {
    EXPECT_EQ(trie.bytes(token), bytes);
    EXPECT_TRUE(spellings.insert(bytes).second);
  }
  MaskWords mask(trie.mask_words());
  for (const auto& [bytes, token] : tokens) set_bit(mask, token);
  trie.copy_twins(mask);
  for (int32_t token = 0; token < trie.vocabulary_size(); ++token) {
    EXPECT_EQ(has_bit(mask, token), !test_tokenizer().is_special(token)) << token;
  }
}

TEST(TokenTrie, SpellsTokensAsTheyAreDecoded) {
  const TokenTrie& trie = *test_vocabulary().trie;
  EXPECT_EQ(trie.bytes(test_token("\xE2\x96\x81")), " ");
  EXPECT_EQ(trie.bytes(test_token("<0xE2>")), "\xE2");
  EXPECT_EQ(trie.bytes(test_token("<turn|>")), "");
  EXPECT_EQ(trie.find_special("<turn|>"), test_token("<turn|>"));
  EXPECT_EQ(trie.find_special("the"), std::nullopt);
  EXPECT_FALSE(trie.contains(-1));
  EXPECT_FALSE(trie.contains(trie.vocabulary_size()));
}

TEST(TokenTrie, SkipsWhatBeginsAlike) {
  const std::span<const TrieNode> nodes = test_vocabulary().trie->nodes();
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (size_t k = i + 1; k < nodes[i].end; ++k) EXPECT_GT(nodes[k].depth, nodes[i].depth);
    if (nodes[i].end < nodes.size()) EXPECT_LE(nodes[nodes[i].end].depth, nodes[i].depth);
  }
}

TEST(TokenTrie, KnowsPlainText) {
  const TokenTrie& trie = *test_vocabulary().trie;
  const auto others = tokens_of(trie.nodes_without_plain());
  for (const auto& [bytes, token] : tokens_of(trie.nodes())) {
    const size_t length = plain_length(bytes);
    EXPECT_EQ(others.contains({bytes, token}), length == 0) << bytes;
    for (uint32_t count = 0; count <= trie.plain_characters_max(); ++count) {
      EXPECT_EQ(has_bit(trie.plain_tokens(count), token), length > 0 && length <= count) << bytes;
    }
  }
  const std::span<const TrieNode> nodes = trie.nodes();
  for (size_t i = 0; i < nodes.size(); ++i) {
    size_t longest = 0;
    bool is_plain = true;
    for (size_t k = i; k < nodes[i].end; ++k) {
      if (nodes[k].token < 0) continue;
      const size_t length = plain_length(trie.bytes(nodes[k].token));
      is_plain = is_plain && length > 0;
      longest = std::max(longest, length);
    }
    EXPECT_EQ(nodes[i].plain_max, is_plain ? longest : kNotPlain);
  }
}

}  // namespace
}  // namespace beryl::text::grammar
