// A grammar made ready for a vocabulary, shared by all outputs that follow it.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/state_table.h"
#include "text/grammar/token_trie.h"

namespace beryl::text::grammar {

// What the outputs of a model are spelt in.
struct OutputVocabulary {
  std::shared_ptr<const TokenTrie> trie;
  std::vector<int32_t> end_tokens;  // allowed exactly where the output may end; at least one
};

// Any number of threads may use it: a lock is held for each token.
class CompiledGrammar {
 public:
  // Errors: as build_automaton(); kInvalidInput when the vocabulary lacks a special token of the grammar.
  CompiledGrammar(const Grammar& grammar, OutputVocabulary vocabulary);

  // About what it takes now, with the positions and masks that are kept for it.
  size_t bytes();
  const OutputVocabulary& vocabulary() const { return vocabulary_; }
  bool is_end_token(int32_t token) const;

  // A position of some output. It keeps the table that it belongs to alive, so it survives when the grammar
  // starts a new one; cheap to copy.
  struct Cursor {
    std::shared_ptr<StateTable> table;
    PositionId position = kDeadPosition;
  };

  Cursor start();
  // The position after `token`, which is no end token; kDeadPosition when it is not allowed. The cursor stays
  // where it is. Errors: kInvalidInput when the grammar is too ambiguous to follow.
  PositionId step(Cursor& cursor, int32_t token);
  bool may_end(const Cursor& cursor);
  bool must_end(const Cursor& cursor);
  // At least one token. Errors: as step(), also for tokens that are not chosen afterwards.
  std::shared_ptr<const MaskWords> mask(Cursor& cursor);

 private:
  std::shared_ptr<StateTable> make_table() const;
  // Brings the cursor to the current table, or both to a new one when that has grown too large.
  StateTable& bring_up_to_date(Cursor& cursor);
  MaskWords make_mask(StateTable& table, PositionId position) const;

  OutputVocabulary vocabulary_;
  GrammarLimits limits_;
  Automaton automaton_;
  std::vector<int32_t> special_tokens_;  // of the vocabulary, by index to Automaton::tokens
  std::mutex mutex_;
  std::shared_ptr<StateTable> table_;
};

}  // namespace beryl::text::grammar
