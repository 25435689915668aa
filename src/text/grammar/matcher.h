// Follows one output through a grammar.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "text/grammar/compiled_grammar.h"

namespace beryl::text::grammar {

// Cheap to copy: a copy goes its own way from the same position, as for speculation or several answers to one
// prompt. One thread at a time; matchers of one grammar are independent of each other.
//
// The cheap way to use it: sample, push(), and only when that fails sample again under mask().
class Matcher {
 public:
  explicit Matcher(std::shared_ptr<CompiledGrammar> grammar)
      : grammar_(std::move(grammar)), cursor_(grammar_->start()) {}

  // Whether `token` may come next: any id, also one outside of the vocabulary, which may not.
  // Errors of this and the two below: kInvalidInput when the grammar is too ambiguous to follow.
  bool accepts(int32_t token);
  // Goes on behind `token` and returns true; stays and returns false when it may not come next.
  bool push(int32_t token);
  // All tokens that may come next, at least one. Bits as engine::TokenMask has them: bit i % 64 of word i /
  // 64 is token i, for the ids of the tokenizer; further logits of a padded vocabulary are not allowed.
  // Cached: the second time at an equal position it costs nothing.
  std::shared_ptr<const MaskWords> mask();

  // The output is complete if nothing more comes: end tokens are allowed.
  bool may_end();
  // Nothing but end tokens is allowed.
  bool must_end();
  // An end token came. From then on only end tokens are allowed.
  bool has_ended() const { return has_ended_; }

 private:
  MaskWords end_mask() const;

  std::shared_ptr<CompiledGrammar> grammar_;
  CompiledGrammar::Cursor cursor_;
  bool has_ended_ = false;
};

}  // namespace beryl::text::grammar
