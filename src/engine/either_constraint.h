// Answers that follow one of two constraints.
#pragma once

#include "engine/token_constraint.h"

namespace beryl::engine {

// Which of the two an answer follows is decided by its tokens: whatever either allows may come, and then only
// what those that have allowed all so far do.
ConstraintFactory make_either_constraints(ConstraintFactory first, ConstraintFactory second);

}  // namespace beryl::engine
