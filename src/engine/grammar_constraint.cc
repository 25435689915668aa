#include "engine/grammar_constraint.h"

#include <optional>
#include <utility>

#include "base/error.h"
#include "text/grammar/matcher.h"

namespace beryl::engine {
namespace {

using text::OutputMarker;
using text::grammar::CompiledGrammar;

class GrammarConstraint final : public TokenConstraint {
 public:
  GrammarConstraint(std::shared_ptr<CompiledGrammar> grammar, GrammarStart start, int64_t vocabulary_size)
      : grammar_(std::move(grammar)),
        matcher_(grammar_),
        thought_open_(find(OutputMarker::kChannelOpen)),
        thought_close_(find(OutputMarker::kChannelClose)),
        call_open_(find(OutputMarker::kToolCallOpen)),
        mask_(static_cast<int32_t>(vocabulary_size)) {
    const bool has_thoughts = thought_open_ && thought_close_;
    if (start == GrammarStart::kAfterToolCall) phase_ = Phase::kBeforeCall;
    if (start == GrammarStart::kAfterThought && has_thoughts) phase_ = Phase::kBeforeThought;
    if (start == GrammarStart::kInsideThought && has_thoughts) phase_ = Phase::kThought;
  }

  bool push(int32_t token) override {
    switch (phase_) {
      case Phase::kBeforeThought:
        if (token == thought_open_) {
          phase_ = Phase::kThought;
          return true;
        }
        if (!matcher_.push(token)) return false;
        phase_ = Phase::kGrammar;
        return true;
      case Phase::kThought:
        if (token == thought_close_) phase_ = Phase::kGrammar;
        return may_be_thought(token);
      case Phase::kBeforeCall:
        if (token == call_open_) phase_ = Phase::kGrammar;
        return true;
      case Phase::kGrammar:
        break;
    }
    return matcher_.push(token);
  }

  const TokenMask& mask() override {
    switch (phase_) {
      case Phase::kBeforeThought:
        mask_.assign(*matcher_.mask());
        mask_.allow(*thought_open_);
        break;
      case Phase::kThought:
        for (int32_t token = 0; token < mask_.vocab_size(); ++token) allow_if(token, may_be_thought(token));
        break;
      case Phase::kBeforeCall:
        for (int32_t token = 0; token < mask_.vocab_size(); ++token) mask_.allow(token);
        break;
      case Phase::kGrammar:
        mask_.assign(*matcher_.mask());
        break;
    }
    return mask_;
  }

 private:
  enum class Phase : uint8_t { kBeforeThought, kThought, kBeforeCall, kGrammar };

  std::optional<int32_t> find(OutputMarker marker) const {
    return grammar_->vocabulary().trie->find_special(text::marker_text(marker));
  }
  bool may_be_thought(int32_t token) const {
    return grammar_->vocabulary().trie->contains(token) && !grammar_->is_end_token(token) &&
           token != call_open_;
  }
  void allow_if(int32_t token, bool is_allowed) {
    if (is_allowed) {
      mask_.allow(token);
    } else {
      mask_.forbid(token);
    }
  }

  std::shared_ptr<CompiledGrammar> grammar_;
  text::grammar::Matcher matcher_;
  std::optional<int32_t> thought_open_, thought_close_, call_open_;
  Phase phase_ = Phase::kGrammar;
  TokenMask mask_;
};

}  // namespace

GrammarStart find_grammar_start(text::OutputStart start, bool enables_thinking) {
  if (start == text::OutputStart::kReasoning) return GrammarStart::kInsideThought;
  return enables_thinking ? GrammarStart::kAfterThought : GrammarStart::kAtOnce;
}

ConstraintFactory make_grammar_constraints(std::shared_ptr<CompiledGrammar> grammar, GrammarStart start) {
  return [grammar = std::move(grammar), start](int64_t vocabulary_size) {
    return std::make_unique<GrammarConstraint>(grammar, start, vocabulary_size);
  };
}

text::grammar::OutputVocabulary make_output_vocabulary(const text::Tokenizer& tokenizer,
                                                       std::vector<int32_t> end_tokens) {
  auto trie = std::make_shared<const text::grammar::TokenTrie>(tokenizer);
  std::erase_if(end_tokens, [&](int32_t token) { return !trie->contains(token); });
  if (end_tokens.empty()) {
    throw Error(ErrorCode::kUnsupported,
                "the model names no end token, so an answer that follows a grammar could not end",
                "add eos_token_id to its generation_config.json");
  }
  return {std::move(trie), std::move(end_tokens)};
}

}  // namespace beryl::engine
