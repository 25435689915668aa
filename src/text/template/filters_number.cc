// Filters that make numbers, and those that take any value.
#include <fmt/format.h>

#include <cmath>

#include "text/template/access.h"
#include "text/template/arguments.h"
#include "text/template/filters.h"
#include "text/template/literals.h"
#include "text/template/value_order.h"
#include "text/template/value_text.h"

namespace beryl::text {
namespace {

std::optional<Value> truncated(double value) {
  if (!(std::abs(value) < 0x1p63)) return std::nullopt;
  return Value::integer(static_cast<int64_t>(value));
}

Value apply_int(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("int", arguments, {"default", "base"});
  const Value fallback = bound.has(0) ? bound.at(0) : Value::integer(0);
  if (input.is(Kind::kUndefined)) fail_render(missing_text(input));
  if (input.is_integral()) return Value::integer(input.integer());
  if (input.is(Kind::kFloat)) return truncated(input.real()).value_or(fallback);
  if (!input.is(Kind::kString)) return fallback;
  runtime.charge(input.text().size() / 16);
  const auto integer = parse_python_integer(input.text(), bound.integer_or(1, 10));
  if (integer) return Value::integer(*integer);
  const auto real = parse_python_float(input.text());
  return real ? truncated(*real).value_or(fallback) : fallback;
}

Value apply_float(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("float", arguments, {"default"});
  if (input.is(Kind::kUndefined)) fail_render(missing_text(input));
  if (input.is_number()) return Value::real(input.real());
  if (input.is(Kind::kString)) {
    runtime.charge(input.text().size() / 16);
    const auto real = parse_python_float(input.text());
    if (real) return Value::real(*real);
  }
  return bound.has(0) ? bound.at(0) : Value::real(0.0);
}

Value apply_abs(Runtime&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("abs", arguments, {});
  if (input.is(Kind::kFloat)) return Value::real(std::abs(input.real()));
  if (!input.is_integral()) fail_render(fmt::format("bad operand type for abs(): '{}'", type_name(input)));
  if (input.integer() == INT64_MIN) fail_render("integer too large");
  return Value::integer(std::abs(input.integer()));
}

Value apply_round(Runtime&, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("round", arguments, {"precision", "method"});
  const int64_t precision = bound.integer_or(0, 0);
  const std::string_view method = bound.text_or(1, "common");
  if (!input.is_number()) fail_render(fmt::format("round() needs a number, found {}", type_name(input)));
  if (precision < -300 || precision > 300) fail_render("round(): the precision is out of range");
  const double value = input.real();
  if (method == "common") {
    if (input.is_integral() && precision >= 0) return Value::integer(input.integer());
    if (!std::isfinite(value)) return input;
    if (precision >= 0) {
      // Correctly rounded decimal digits, as Python's round().
      return Value::real(parse_python_float(fmt::format("{:.{}f}", value, precision)).value_or(value));
    }
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    const double rounded = std::nearbyint(value / scale) * scale;
    return input.is_integral() ? truncated(rounded).value_or(input) : Value::real(rounded);
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return Value::real(std::ceil(value * scale) / scale);
  if (method == "floor") return Value::real(std::floor(value * scale) / scale);
  fail_render("round(): method must be common, ceil or floor");
}

Value apply_length(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("length", arguments, {});
  return Value::integer(length_of(runtime, input));
}

Value apply_default(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("default", arguments, {"default_value", "boolean"});
  const bool is_replaced = input.is(Kind::kUndefined) || (bound.is_true_or(1, false) && !is_true(input));
  if (!is_replaced) return input;
  return bound.has(0) ? bound.at(0) : Value::string(runtime.arena(), MarkedText());
}

// Only attributes, never keys.
Value apply_attr(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("attr", arguments, {"name"}, 1);
  const MarkedText name = bound.string_at(0);
  if (input.is(Kind::kMap) && find_in_map(runtime, input, bound.at(0)) != nullptr) {
    return Value::undefined(runtime.arena().make(Missing{input, bound.at(0)}));
  }
  return find_attribute(runtime, input, Value::string(runtime.arena(), name));
}

constexpr NamedFilter kFilters[] = {
    {"abs", apply_abs},   {"attr", apply_attr},       {"count", apply_length},
    {"d", apply_default}, {"default", apply_default}, {"float", apply_float},
    {"int", apply_int},   {"length", apply_length},   {"round", apply_round},
};

}  // namespace

std::span<const NamedFilter> number_filters() {
  return kFilters;
}

}  // namespace beryl::text
