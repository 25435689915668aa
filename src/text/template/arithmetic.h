// + - * / // % ** and the signs, by Python's rules; integers have 64 bits, and more is an error.
#pragma once

#include "text/template/ast.h"
#include "text/template/runtime.h"
#include "text/template/value.h"

namespace beryl::text {

// `op` is none of kAnd and kOr. Errors: kInvalidInput for values that do not go together, for a division by
// zero and for results that do not fit.
Value apply_binary(Runtime& runtime, BinaryOperator op, const Value& left, const Value& right);

Value add(Runtime& runtime, const Value& left, const Value& right);

// Errors: kInvalidInput when `value` is no number.
Value negate(const Value& value);

}  // namespace beryl::text
