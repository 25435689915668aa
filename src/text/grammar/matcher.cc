#include "text/grammar/matcher.h"

namespace beryl::text::grammar {

bool Matcher::accepts(int32_t token) {
  if (grammar_->is_end_token(token) && may_end()) return true;
  return !has_ended_ && grammar_->step(cursor_, token) != kDeadPosition;
}

bool Matcher::push(int32_t token) {
  // Where an end token is also part of the grammar, as <|tool_response> might be, the end wins.
  if (grammar_->is_end_token(token) && may_end()) {
    has_ended_ = true;
    return true;
  }
  if (has_ended_) return false;
  const PositionId next = grammar_->step(cursor_, token);
  if (next == kDeadPosition) return false;
  cursor_.position = next;
  return true;
}

std::shared_ptr<const MaskWords> Matcher::mask() {
  if (has_ended_) return std::make_shared<const MaskWords>(end_mask());
  return grammar_->mask(cursor_);
}

bool Matcher::may_end() {
  return has_ended_ || grammar_->may_end(cursor_);
}

bool Matcher::must_end() {
  return has_ended_ || grammar_->must_end(cursor_);
}

MaskWords Matcher::end_mask() const {
  MaskWords mask(grammar_->vocabulary().trie->mask_words());
  for (const int32_t token : grammar_->vocabulary().end_tokens) set_bit(mask, token);
  return mask;
}

}  // namespace beryl::text::grammar
