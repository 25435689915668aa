// Numbers between bounds, digit by digit.
#pragma once

#include <optional>
#include <string>

#include "text/grammar/grammar.h"

namespace beryl::text::grammar {

// A number written in full: [-]digits[.digits], without superfluous zeros. "0" is never negative.
struct Decimal {
  bool is_negative = false;
  std::string whole = "0";
  std::string fraction = {};  // may be empty; does not end in 0

  bool is_zero() const { return whole == "0" && fraction.empty(); }
};

// What JSON writes as `number`, with or without an exponent. Errors: kUnsupported beyond 40 digits.
Decimal parse_decimal(std::string_view number);

// Less than zero, zero or more than zero, as `a` compares with `b`.
int compare(const Decimal& a, const Decimal& b);

struct NumberBounds {
  std::optional<Decimal> min = {};
  std::optional<Decimal> max = {};
  bool excludes_min = false;
  bool excludes_max = false;
};

// Integers have up to 20 digits, or as many as a bound, and no fraction.
NodeId integer_between(Grammar& grammar, const NumberBounds& bounds);

// Without bounds: up to 20 digits, 16 of a fraction, and an exponent of two. With bounds: no exponent, and a
// fraction only as long as a double can tell apart, so that no reader rounds the number onto a bound that is
// excluded.
NodeId number_between(Grammar& grammar, const NumberBounds& bounds);

}  // namespace beryl::text::grammar
