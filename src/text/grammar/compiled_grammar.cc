#include "text/grammar/compiled_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/quote.h"

namespace beryl::text::grammar {
namespace {

// Goes through the tree as far as the grammar does, from `start` on, and marks the tokens that it meets.
// Plain text of up to `plain_length` characters is marked already.
void mark_allowed(StateTable& table, PositionId start, std::span<const TrieNode> nodes, uint32_t plain_length,
                  MaskWords& mask) {
  std::vector<PositionId> path{start};  // by depth
  for (uint32_t i = 0; i < nodes.size();) {
    const TrieNode& node = nodes[i];
    if (node.plain_max <= plain_length && node.plain_max != kNotPlain) {
      i = node.end;
      continue;
    }
    const PositionId next = table.step(path[node.depth - 1U], node.byte);
    if (next == kDeadPosition) {
      i = node.end;
      continue;
    }
    if (path.size() <= node.depth) path.resize(node.depth + 1U);
    path[node.depth] = next;
    if (node.token >= 0) set_bit(mask, node.token);
    ++i;
  }
}

}  // namespace

CompiledGrammar::CompiledGrammar(const Grammar& grammar, OutputVocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)),
      limits_(grammar.budget().limits()),
      automaton_(build_automaton(grammar)) {
  BERYL_CHECK(!vocabulary_.end_tokens.empty());
  limits_.stack_depth_max = grammar.stack_depth_max();
  for (const std::string& text : automaton_.tokens) {
    const std::optional<int32_t> token = vocabulary_.trie->find_special(text);
    if (!token) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("the tokenizer has no special token {}", quote(text)));
    }
    special_tokens_.push_back(*token);
  }
  table_ = make_table();
}

std::shared_ptr<StateTable> CompiledGrammar::make_table() const {
  return std::make_shared<StateTable>(automaton_, vocabulary_.trie->token_bytes_max(), limits_);
}

size_t CompiledGrammar::bytes() {
  const std::lock_guard lock(mutex_);
  return table_->bytes() + automaton_.edges.size() * sizeof(Edge) + automaton_.state_count() * 20 +
         sizeof *this;
}

bool CompiledGrammar::is_end_token(int32_t token) const {
  return std::find(vocabulary_.end_tokens.begin(), vocabulary_.end_tokens.end(), token) !=
         vocabulary_.end_tokens.end();
}

CompiledGrammar::Cursor CompiledGrammar::start() {
  const std::lock_guard lock(mutex_);
  return {table_, table_->start()};
}

StateTable& CompiledGrammar::bring_up_to_date(Cursor& cursor) {
  if (table_->bytes() > limits_.cache_bytes_max) table_ = make_table();
  table_->begin_operation();
  if (cursor.table != table_) {
    cursor.position = table_->import(*cursor.table, cursor.position);
    cursor.table = table_;
  }
  return *table_;
}

PositionId CompiledGrammar::step(Cursor& cursor, int32_t token) {
  const std::lock_guard lock(mutex_);
  StateTable& table = bring_up_to_date(cursor);
  if (!vocabulary_.trie->contains(token)) return kDeadPosition;
  const auto special = std::find(special_tokens_.begin(), special_tokens_.end(), token);
  if (special != special_tokens_.end()) {
    return table.step_token(cursor.position, static_cast<uint32_t>(special - special_tokens_.begin()));
  }
  const std::string_view bytes = vocabulary_.trie->bytes(token);
  if (bytes.empty()) return kDeadPosition;
  PositionId position = cursor.position;
  for (const char byte : bytes) {
    position = table.step(position, static_cast<uint8_t>(byte));
    if (position == kDeadPosition) break;
  }
  return position;
}

bool CompiledGrammar::may_end(const Cursor& cursor) {
  const std::lock_guard lock(mutex_);
  return cursor.table->may_end(cursor.position);
}

bool CompiledGrammar::must_end(const Cursor& cursor) {
  const std::lock_guard lock(mutex_);
  return cursor.table->must_end(cursor.position);
}

std::shared_ptr<const MaskWords> CompiledGrammar::mask(Cursor& cursor) {
  const std::lock_guard lock(mutex_);
  StateTable& table = bring_up_to_date(cursor);
  const uint32_t mask_class = table.mask_class(cursor.position);
  if (!table.mask_of_class(mask_class)) {
    auto mask = std::make_shared<const MaskWords>(make_mask(table, cursor.position));
    table.add_bytes(mask->size() * sizeof(uint64_t) + 64);
    table.mask_of_class(mask_class) = std::move(mask);
  }
  return table.mask_of_class(mask_class);
}

MaskWords CompiledGrammar::make_mask(StateTable& table, PositionId position) const {
  const TokenTrie& trie = *vocabulary_.trie;
  const uint32_t plain_length = table.plain_text_length(position);
  MaskWords mask = trie.plain_tokens(plain_length);
  const bool has_all_plain = plain_length >= trie.plain_characters_max();
  mark_allowed(table, position, has_all_plain ? trie.nodes_without_plain() : trie.nodes(), plain_length,
               mask);
  trie.copy_twins(mask);
  for (const uint32_t token : table.next_tokens(position)) {
    if (table.step_token(position, token) != kDeadPosition) set_bit(mask, special_tokens_[token]);
  }
  if (table.may_end(position)) {
    for (const int32_t token : vocabulary_.end_tokens) set_bit(mask, token);
  }
  if (std::all_of(mask.begin(), mask.end(), [](uint64_t word) { return word == 0; })) {
    throw Error(ErrorCode::kInvalidInput, "the grammar leaves no token to choose");
  }
  return mask;
}

}  // namespace beryl::text::grammar
