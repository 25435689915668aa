#include "text/template/predicates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "text/template/arguments.h"
#include "text/template/filters.h"
#include "text/template/unicode.h"
#include "text/template/value_order.h"
#include "text/template/value_text.h"

namespace beryl::text {
namespace {

struct NamedPredicate {
  std::string_view name;
  Predicate call;
};

Value operand_of(std::string_view name, const Arguments& arguments) {
  return BoundArguments(name, arguments, {"other"}, 1).at(0);
}

template <Kind kind>
bool is_kind(Runtime&, const Value& value, const Arguments&) {
  return value.is(kind);
}

template <Kind kind>
bool is_not_kind(Runtime&, const Value& value, const Arguments&) {
  return !value.is(kind);
}

bool is_number(Runtime&, const Value& value, const Arguments&) {
  return value.is_number();
}

template <bool wanted>
bool is_bool(Runtime&, const Value& value, const Arguments&) {
  return value.is(Kind::kBool) && value.boolean() == wanted;
}

// Python calls an undefined value a sequence, too: it has a length of zero.
bool is_sequence(Runtime&, const Value& value, const Arguments&) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kMap:
    case Kind::kRange:
      return true;
    default:
      return false;
  }
}

bool is_iterable(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return is_sequence(runtime, value, arguments) || value.is(Kind::kLoop);
}

bool is_callable(Runtime&, const Value& value, const Arguments&) {
  return value.is(Kind::kMacro) || value.is(Kind::kFunction) || value.is(Kind::kMethod) ||
         value.is(Kind::kUndefined);
}

int64_t integer_of(const Value& value, std::string_view name) {
  if (!value.is_integral()) {
    fail_render(fmt::format("'is {}' needs an integer, found {}", name, type_name(value)));
  }
  return value.integer();
}

template <bool wants_odd>
bool is_odd(Runtime&, const Value& value, const Arguments&) {
  if (!value.is_number()) fail_render(fmt::format("'is odd' needs a number, found {}", type_name(value)));
  const double remainder =
      value.is_integral() ? static_cast<double>(value.integer() % 2) : std::fmod(value.real(), 2);
  return wants_odd ? std::abs(remainder) == 1 : remainder == 0;
}

bool is_divisible(Runtime&, const Value& value, const Arguments& arguments) {
  const int64_t divisor = integer_of(operand_of("divisibleby", arguments), "divisibleby");
  if (divisor == 0) fail_render("integer modulo by zero");
  return divisor == -1 || integer_of(value, "divisibleby") % divisor == 0;
}

bool is_equal(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return equals(runtime, value, operand_of("eq", arguments));
}

bool is_unequal(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return !equals(runtime, value, operand_of("ne", arguments));
}

bool is_less(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return order(runtime, value, operand_of("lt", arguments), "<") < 0;
}

bool is_less_equal(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return order(runtime, value, operand_of("le", arguments), "<=") <= 0;
}

bool is_greater(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return order(runtime, value, operand_of("gt", arguments), ">") > 0;
}

bool is_greater_equal(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return order(runtime, value, operand_of("ge", arguments), ">=") >= 0;
}

bool is_in(Runtime& runtime, const Value& value, const Arguments& arguments) {
  return contains(runtime, operand_of("in", arguments), value);
}

// Python's identity. Numbers and strings have none here: equal ones of one type count as the same.
bool is_same(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Value other = operand_of("sameas", arguments);
  if (value.kind() != other.kind()) return false;
  if (value.is_sequence()) return value.items().data() == other.items().data();
  if (value.is(Kind::kMap)) return value.entries().data() == other.entries().data();
  return equals(runtime, value, other);
}

template <bool wants_upper>
bool is_cased(Runtime& runtime, const Value& value, const Arguments&) {
  const MarkedText text = to_text(runtime, value);
  runtime.charge(text.size() / 16);
  const std::string upper_text = to_upper(text.text());
  const std::string lower_text = to_lower(text.text());
  return text.text() == (wants_upper ? upper_text : lower_text) && upper_text != lower_text;
}

bool is_filter(Runtime&, const Value& value, const Arguments&) {
  return value.is(Kind::kString) && find_filter(value.text()) != nullptr;
}

bool is_test(Runtime&, const Value& value, const Arguments&) {
  return value.is(Kind::kString) && find_predicate(value.text()) != nullptr;
}

bool is_escaped(Runtime&, const Value&, const Arguments&) {
  return false;
}

constexpr NamedPredicate kPredicates[] = {
    {"!=", is_unequal},
    {"<", is_less},
    {"<=", is_less_equal},
    {"==", is_equal},
    {">", is_greater},
    {">=", is_greater_equal},
    {"boolean", is_kind<Kind::kBool>},
    {"callable", is_callable},
    {"defined", is_not_kind<Kind::kUndefined>},
    {"divisibleby", is_divisible},
    {"eq", is_equal},
    {"equalto", is_equal},
    {"escaped", is_escaped},
    {"even", is_odd<false>},
    {"false", is_bool<false>},
    {"filter", is_filter},
    {"float", is_kind<Kind::kFloat>},
    {"ge", is_greater_equal},
    {"greaterthan", is_greater},
    {"gt", is_greater},
    {"in", is_in},
    {"integer", is_kind<Kind::kInt>},
    {"iterable", is_iterable},
    {"le", is_less_equal},
    {"lessthan", is_less},
    {"lower", is_cased<false>},
    {"lt", is_less},
    {"mapping", is_kind<Kind::kMap>},
    {"ne", is_unequal},
    {"none", is_kind<Kind::kNone>},
    {"number", is_number},
    {"odd", is_odd<true>},
    {"sameas", is_same},
    {"sequence", is_sequence},
    {"string", is_kind<Kind::kString>},
    {"test", is_test},
    {"true", is_bool<true>},
    {"undefined", is_kind<Kind::kUndefined>},
    {"upper", is_cased<true>},
};

}  // namespace

Predicate find_predicate(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kPredicates), std::end(kPredicates),
                                         [name](const NamedPredicate& entry) { return entry.name == name; });
  return found == std::end(kPredicates) ? nullptr : found->call;
}

}  // namespace beryl::text
