// Finds rules that would call themselves for ever without taking a byte.
#pragma once

#include <optional>

#include "text/grammar/automaton.h"

namespace beryl::text::grammar {

// The entry of a rule that can be reached from itself over edges that take nothing; nothing if there is none.
// Reads states and edges only.
std::optional<StateId> find_left_recursion(const Automaton& automaton);

}  // namespace beryl::text::grammar
