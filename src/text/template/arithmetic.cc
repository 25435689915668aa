#include "text/template/arithmetic.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <vector>

#include "text/template/format.h"
#include "text/template/text_operations.h"
#include "text/template/value_text.h"

namespace beryl::text {
namespace {

std::string_view symbol_of(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::kAnd:
      return "and";
    case BinaryOperator::kOr:
      return "or";
    case BinaryOperator::kAdd:
      return "+";
    case BinaryOperator::kSubtract:
      return "-";
    case BinaryOperator::kMultiply:
      return "*";
    case BinaryOperator::kDivide:
      return "/";
    case BinaryOperator::kFloorDivide:
      return "//";
    case BinaryOperator::kModulo:
      return "%";
    case BinaryOperator::kPower:
      return "**";
  }
  return "";
}

int64_t fitting(std::optional<int64_t> result) {
  if (!result) fail_render("an integer does not fit in 64 bits");
  return *result;
}

int64_t floor_quotient(int64_t left, int64_t right) {
  if (right == 0) fail_render("integer division or modulo by zero");
  if (left == INT64_MIN && right == -1) fitting(std::nullopt);
  const int64_t quotient = left / right;
  const bool is_rounded_up = left % right != 0 && (left < 0) != (right < 0);
  return is_rounded_up ? quotient - 1 : quotient;
}

int64_t floor_remainder(int64_t left, int64_t right) {
  if (right == 0) fail_render("integer division or modulo by zero");
  if (right == -1) return 0;
  const int64_t remainder = left % right;
  return remainder != 0 && (remainder < 0) != (right < 0) ? remainder + right : remainder;
}

// `exponent` is not negative. At most 63 factors differ from -1, 0 and 1.
int64_t integer_power(int64_t base, int64_t exponent) {
  if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
  if (base == -1) return exponent % 2 == 0 ? 1 : -1;
  int64_t result = 1;
  for (int64_t i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(result, base, &result)) fitting(std::nullopt);
  }
  return result;
}

Value real_power(double base, double exponent) {
  if (base == 0 && exponent < 0) fail_render("0.0 cannot be raised to a negative power");
  if (base < 0 && exponent != std::floor(exponent)) fail_render("complex numbers are not supported");
  const double result = std::pow(base, exponent);
  if (std::isinf(result) && std::isfinite(base) && std::isfinite(exponent))
    fail_render("numerical result out of range");
  return Value::real(result);
}

Value integer_result(BinaryOperator op, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflows = false;
  switch (op) {
    case BinaryOperator::kAdd:
      overflows = __builtin_add_overflow(left, right, &result);
      break;
    case BinaryOperator::kSubtract:
      overflows = __builtin_sub_overflow(left, right, &result);
      break;
    case BinaryOperator::kMultiply:
      overflows = __builtin_mul_overflow(left, right, &result);
      break;
    case BinaryOperator::kFloorDivide:
      result = floor_quotient(left, right);
      break;
    case BinaryOperator::kModulo:
      result = floor_remainder(left, right);
      break;
    case BinaryOperator::kPower:
      if (right < 0) return real_power(static_cast<double>(left), static_cast<double>(right));
      result = integer_power(left, right);
      break;
    default:
      if (right == 0) fail_render("division by zero");
      return Value::real(static_cast<double>(left) / static_cast<double>(right));
  }
  if (overflows) fitting(std::nullopt);
  return Value::integer(result);
}

Value real_result(BinaryOperator op, double left, double right) {
  const bool divides =
      op == BinaryOperator::kDivide || op == BinaryOperator::kFloorDivide || op == BinaryOperator::kModulo;
  if (divides && right == 0) fail_render("float division by zero");
  switch (op) {
    case BinaryOperator::kAdd:
      return Value::real(left + right);
    case BinaryOperator::kSubtract:
      return Value::real(left - right);
    case BinaryOperator::kMultiply:
      return Value::real(left * right);
    case BinaryOperator::kPower:
      return real_power(left, right);
    case BinaryOperator::kFloorDivide:
    case BinaryOperator::kModulo: {
      double remainder = std::fmod(left, right);
      if (remainder != 0 && (remainder < 0) != (right < 0)) remainder += right;
      if (op == BinaryOperator::kModulo) {
        return Value::real(remainder == 0 ? std::copysign(0.0, right) : remainder);
      }
      return Value::real(std::round((left - remainder) / right));
    }
    default:
      return Value::real(left / right);
  }
}

Value joined_lists(Runtime& runtime, const Value& left, const Value& right) {
  const auto left_items = left.items();
  const auto right_items = right.items();
  runtime.charge(left_items.size() + right_items.size());
  std::vector<Value> items(left_items.begin(), left_items.end());
  items.insert(items.end(), right_items.begin(), right_items.end());
  return left.is(Kind::kTuple) ? make_tuple_value(runtime.arena(), items)
                               : make_list_value(runtime.arena(), items);
}

// A string or list, `count` times.
Value repeated(Runtime& runtime, const Value& value, int64_t count) {
  if (value.is(Kind::kString)) return Value::string(runtime.arena(), repeat(runtime, value.string(), count));
  std::vector<Value> items;
  for (int64_t i = 0; i < count && !value.items().empty(); ++i) {
    runtime.charge(value.items().size());
    runtime.arena().charge(value.items().size() * sizeof(Value));
    items.insert(items.end(), value.items().begin(), value.items().end());
  }
  return value.is(Kind::kTuple) ? make_tuple_value(runtime.arena(), items)
                                : make_list_value(runtime.arena(), items);
}

bool can_repeat(const Value& value) {
  return value.is(Kind::kString) || value.is_sequence();
}

// Operations on strings and lists, or nothing.
std::optional<Value> container_result(Runtime& runtime, BinaryOperator op, const Value& left,
                                      const Value& right) {
  const bool is_alike = left.kind() == right.kind();
  if (op == BinaryOperator::kAdd && is_alike && left.is(Kind::kString)) {
    return Value::string(runtime.arena(), concatenate(runtime, left.string(), right.string()));
  }
  if (op == BinaryOperator::kAdd && is_alike && left.is_sequence()) return joined_lists(runtime, left, right);
  if (op == BinaryOperator::kMultiply && can_repeat(left) && right.is_integral()) {
    return repeated(runtime, left, right.integer());
  }
  if (op == BinaryOperator::kMultiply && can_repeat(right) && left.is_integral()) {
    return repeated(runtime, right, left.integer());
  }
  if (op == BinaryOperator::kModulo && left.is(Kind::kString)) {
    const auto values = right.is(Kind::kTuple) ? right.items() : std::span<const Value>(&right, 1);
    return Value::string(runtime.arena(), format_percent(runtime, left.string(), values));
  }
  return std::nullopt;
}

}  // namespace

Value apply_binary(Runtime& runtime, BinaryOperator op, const Value& left, const Value& right) {
  // An undefined value can be printed, so it can fill a format.
  const bool is_format = op == BinaryOperator::kModulo && left.is(Kind::kString);
  if (left.is(Kind::kUndefined)) fail_render(missing_text(left));
  if (right.is(Kind::kUndefined) && !is_format) fail_render(missing_text(right));
  if (left.is_integral() && right.is_integral()) return integer_result(op, left.integer(), right.integer());
  if (left.is_number() && right.is_number()) return real_result(op, left.real(), right.real());
  const auto result = container_result(runtime, op, left, right);
  if (result) return *result;
  if (op == BinaryOperator::kAdd && left.is(Kind::kString)) {
    fail_render(fmt::format("can only concatenate str (not \"{}\") to str", type_name(right)));
  }
  fail_render(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", symbol_of(op), type_name(left),
                          type_name(right)));
}

Value add(Runtime& runtime, const Value& left, const Value& right) {
  return apply_binary(runtime, BinaryOperator::kAdd, left, right);
}

Value negate(const Value& value) {
  if (value.is(Kind::kUndefined)) fail_render(missing_text(value));
  if (value.is(Kind::kFloat)) return Value::real(-value.real());
  if (!value.is_integral()) fail_render(fmt::format("bad operand type for unary -: '{}'", type_name(value)));
  if (value.integer() == INT64_MIN) fitting(std::nullopt);
  return Value::integer(-value.integer());
}

}  // namespace beryl::text
