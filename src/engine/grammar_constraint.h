// Grammars as constraints of answers.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/token_constraint.h"
#include "text/grammar/compiled_grammar.h"
#include "text/output_parser.h"
#include "text/tokenizer.h"

namespace beryl::engine {

// Where in an answer its grammar begins.
enum class GrammarStart : uint8_t {
  kAtOnce,
  // With the first token, unless that opens a thought: then behind it. In thoughts anything goes but end
  // tokens and tool calls.
  kAfterThought,
  // The same where the prompt has opened the thought.
  kInsideThought,
  // Behind <|tool_call>. Until that comes, if ever, anything goes.
  kAfterToolCall,
};

// For a grammar of all that is no thought.
GrammarStart find_grammar_start(text::OutputStart start, bool enables_thinking);

// Constraints that follow `grammar` and share what it has learnt. A vocabulary without the markers of
// thoughts has none: then the grammar begins at once.
ConstraintFactory make_grammar_constraints(std::shared_ptr<text::grammar::CompiledGrammar> grammar,
                                           GrammarStart start);

// What grammars for this tokenizer are compiled for; takes a fraction of a second. Errors: kUnsupported when
// there is no end token, without which no answer could come to its end.
text::grammar::OutputVocabulary make_output_vocabulary(const text::Tokenizer& tokenizer,
                                                       std::vector<int32_t> end_tokens);

}  // namespace beryl::engine
