#include "text/grammar/token_trie.h"

#include <algorithm>
#include <utility>

#include "text/grammar/char_set.h"
#include "text/utf8.h"

namespace beryl::text::grammar {
namespace {

constexpr uint8_t kPlainCharactersMax = 64;  // Google's longest tokens have 31

struct Spelling {
  std::string_view bytes;
  int32_t token;
  uint8_t plain = kNotPlain;  // characters, if it is plain text
};

// `spellings` ascend, each once.
std::vector<TrieNode> build_nodes(std::span<const Spelling> spellings) {
  std::vector<TrieNode> nodes;
  std::vector<uint32_t> open;  // the nodes of the token before, by depth
  std::string_view previous;
  const auto close_to = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back()) nodes[open.back()].end = static_cast<uint32_t>(nodes.size());
  };
  for (const Spelling& spelling : spellings) {
    const auto [same, unused] =
        std::mismatch(previous.begin(), previous.end(), spelling.bytes.begin(), spelling.bytes.end());
    size_t depth = static_cast<size_t>(same - previous.begin());
    close_to(depth);
    for (; depth < spelling.bytes.size(); ++depth) {
      open.push_back(static_cast<uint32_t>(nodes.size()));
      nodes.push_back(
          {.depth = static_cast<uint16_t>(depth + 1), .byte = static_cast<uint8_t>(spelling.bytes[depth])});
    }
    nodes.back().token = spelling.token;
    for (const uint32_t node : open) nodes[node].plain_max = std::max(nodes[node].plain_max, spelling.plain);
    previous = spelling.bytes;
  }
  close_to(0);
  return nodes;
}

// The number of characters if all are plain; otherwise, as when a byte of a character stands alone, and for
// more characters than any useful token has, kNotPlain.
uint8_t count_plain(std::string_view bytes) {
  if (find_invalid_utf8(bytes)) return kNotPlain;
  uint8_t count = 0;
  for (size_t at = 0; at < bytes.size(); ++count) {
    const Utf8Character character = read_utf8(bytes, at);
    if (!json_plain_characters().contains(character.value) || count + 1 == kPlainCharactersMax)
      return kNotPlain;
    at += character.byte_count;
  }
  return count;
}

}  // namespace

TokenTrie::TokenTrie(const Tokenizer& tokenizer) : special_(tokenizer.special_tokens()) {
  const int32_t size = tokenizer.vocabulary_size();
  offsets_.reserve(static_cast<size_t>(size) + 1);
  offsets_.push_back(0);
  for (int32_t token = 0; token < size; ++token) {
    if (!tokenizer.is_special(token)) {
      const TokenPiece piece = tokenizer.token_piece(token);
      if (piece.byte) {
        pool_.push_back(static_cast<char>(*piece.byte));
      } else {
        pool_ += piece.text;
      }
    }
    offsets_.push_back(static_cast<uint32_t>(pool_.size()));
  }
  build_trees();
}

void TokenTrie::build_trees() {
  std::vector<Spelling> spellings;
  for (int32_t token = 0; token < vocabulary_size(); ++token) {
    if (!bytes(token).empty()) spellings.push_back({bytes(token), token});
    token_bytes_max_ = std::max(token_bytes_max_, bytes(token).size());
  }
  std::sort(spellings.begin(), spellings.end(), [](const Spelling& a, const Spelling& b) {
    return std::pair(a.bytes, a.token) < std::pair(b.bytes, b.token);
  });
  size_t kept = 0;
  for (const Spelling& spelling : spellings) {
    if (kept > 0 && spellings[kept - 1].bytes == spelling.bytes) {
      twins_.push_back({spelling.token, spellings[kept - 1].token});
    } else {
      spellings[kept++] = spelling;
    }
  }
  spellings.resize(kept);
  size_t longest = 0;
  for (Spelling& spelling : spellings) {
    spelling.plain = count_plain(spelling.bytes);
    if (spelling.plain != kNotPlain) longest = std::max<size_t>(longest, spelling.plain);
  }
  nodes_ = build_nodes(spellings);

  plain_tokens_.assign(longest + 1, MaskWords(mask_words()));
  for (const Spelling& spelling : spellings) {
    for (size_t i = spelling.plain; i <= longest; ++i) set_bit(plain_tokens_[i], spelling.token);
  }
  std::erase_if(spellings, [](const Spelling& spelling) { return spelling.plain != kNotPlain; });
  other_nodes_ = build_nodes(spellings);
}

std::optional<int32_t> TokenTrie::find_special(std::string_view text) const {
  for (const SpecialToken& token : special_) {
    if (token.text == text) return token.id;
  }
  return std::nullopt;
}

void TokenTrie::copy_twins(MaskWords& words) const {
  for (const Twin& twin : twins_) {
    if (has_bit(words, twin.in_tree)) set_bit(words, twin.token);
  }
}

}  // namespace beryl::text::grammar
