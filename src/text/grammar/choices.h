// A list of texts, one of which is the whole output.
#pragma once

#include <span>
#include <string>

#include "text/grammar/grammar.h"

namespace beryl::text::grammar {

// Sets the root. Errors: kInvalidInput when there is no choice or one is not valid UTF-8.
void parse_choices(Grammar& grammar, std::span<const std::string> choices);

}  // namespace beryl::text::grammar
