// GBNF, the grammar notation of llama.cpp.
//
//   root ::= "say " word ("," word)* [.!]    # a rule; the output is a `root`
//   word ::= [a-z]+ | [^a-z\n]{2,5} | .
//
// A rule goes on until the next name followed by "::=". A rule must not refer to itself before it matches
// something (left recursion). Tokens in angle brackets are not supported.
#pragma once

#include <string_view>

#include "text/grammar/grammar.h"

namespace beryl::text::grammar {

// Sets the root. Errors: kInvalidInput and kUnsupported with line and column.
void parse_gbnf(Grammar& grammar, std::string_view text);

}  // namespace beryl::text::grammar
