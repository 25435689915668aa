// Regular expressions: what ECMAScript (JSON schema's dialect), Python and RE2 agree on.
//
//   a  \.  \n \t \xHH \uHHHH \u{H..} \cA   .  [a-z]  [^a]  \d \w \s \D \W \S   x|y   (x) (?:x) (?<name>x)
//   x* x+ x? x{m} x{m,} x{m,n}, also lazy   ^ at the beginning and $ at the end of a whole alternative
//
// Where the dialects differ, what may be written is what matches in all of them: \d \w \s are of ASCII, their
// complements too, except that \S is all but Unicode's spaces; "." is no line end. Everything else is refused
// by name: back-references, look-around, word boundaries, Unicode classes, possessive repetition, flags.
#pragma once

#include <cstdint>
#include <string_view>

#include "text/grammar/grammar.h"
#include "text/grammar/text_sets.h"

namespace beryl::text::grammar {

struct RegexOptions {
  // Whether the expression must match the whole text, as if between ^ and $, or somewhere in it.
  bool matches_whole = true;
  // Bounds on the length of the text in characters. Errors: kUnsupported when they rule out some of what the
  // expression matches and no single repetition in each alternative could be made to keep them.
  uint32_t length_min = 0;
  uint32_t length_max = kUnlimited;
};

// A node for the texts that match, each character spelt by `spell`. Errors: kInvalidInput naming the place,
// for what is malformed; kUnsupported likewise.
NodeId parse_regex(Grammar& grammar, std::string_view pattern, const RegexOptions& options,
                   const CharacterSpelling& spell);

// The same for a whole output: sets the root.
void parse_regex_output(Grammar& grammar, std::string_view pattern);

}  // namespace beryl::text::grammar
