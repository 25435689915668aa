// Filters that pick items or map them: map, select, selectattr and their opposites.
#include <fmt/format.h>

#include <vector>

#include "base/quote.h"
#include "text/template/access.h"
#include "text/template/arguments.h"
#include "text/template/filters.h"
#include "text/template/literals.h"
#include "text/template/predicates.h"
#include "text/template/text_operations.h"
#include "text/template/value_order.h"

namespace beryl::text {
namespace {

const MarkedText& name_in(const Arguments& arguments, size_t index, std::string_view callee) {
  if (index >= arguments.positional.size() || !arguments.positional[index].is(Kind::kString)) {
    fail_render(fmt::format("{}(): expected a name", callee));
  }
  return arguments.positional[index].string();
}

// The arguments behind the first `count`.
Arguments rest_of(const Arguments& arguments, size_t count) {
  return {arguments.positional.subspan(count), arguments.named};
}

// The parts of "a.b.0" as keys.
std::vector<Value> keys_of_path(Runtime& runtime, const Value& attribute) {
  if (!attribute.is(Kind::kString)) return {attribute};
  std::vector<Value> keys;
  for (const MarkedText& part : split(runtime, attribute.string(), ".", -1, Side::kLeft)) {
    const bool is_index =
        !part.empty() && part.text().find_first_not_of("0123456789") == std::string_view::npos;
    const auto index = is_index ? parse_python_integer(part.text(), 10) : std::nullopt;
    keys.push_back(index ? Value::integer(*index) : Value::string(runtime.arena(), part));
  }
  return keys;
}

Value item_at_path(Runtime& runtime, const Value& item, const std::vector<Value>& keys) {
  Value result = item;
  for (const Value& key : keys) result = find_item(runtime, result, key);
  return result;
}

Value apply_map(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto items = items_of(runtime, input);
  if (arguments.positional.empty()) {
    for (const NamedValue& argument : arguments.named) {
      if (argument.name != "attribute") continue;
      Value fallback;
      for (const NamedValue& other : arguments.named) {
        if (other.name == "default") fallback = other.value;
      }
      return map_to_attribute(runtime, items, argument.value, fallback);
    }
  }
  const std::string_view name = name_in(arguments, 0, "map").text();
  const FilterFunction filter = find_filter(name);
  if (filter == nullptr) fail_render(fmt::format("no filter named {}", quote(name)));
  runtime.charge(items.size());
  std::vector<Value> results;
  for (const Value& item : items) results.push_back(filter(runtime, item, rest_of(arguments, 1)));
  return make_list_value(runtime.arena(), results);
}

Predicate predicate_in(const Arguments& arguments, size_t index, std::string_view callee) {
  if (index >= arguments.positional.size()) return nullptr;
  const std::string_view name = name_in(arguments, index, callee).text();
  const Predicate predicate = find_predicate(name);
  if (predicate == nullptr) fail_render(fmt::format("no test named {}", quote(name)));
  return predicate;
}

template <bool keeps_passing>
Value apply_select(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Predicate predicate = predicate_in(arguments, 0, "select");
  const auto items = items_of(runtime, input);
  runtime.charge(items.size());
  std::vector<Value> kept;
  for (const Value& item : items) {
    const bool passes =
        predicate == nullptr ? is_true(item) : predicate(runtime, item, rest_of(arguments, 1));
    if (passes == keeps_passing) kept.push_back(item);
  }
  return make_list_value(runtime.arena(), kept);
}

template <bool keeps_passing>
Value apply_selectattr(Runtime& runtime, const Value& input, const Arguments& arguments) {
  if (arguments.positional.empty()) fail_render("selectattr(): expected an attribute's name");
  const auto keys = keys_of_path(runtime, arguments.positional[0]);
  const Predicate predicate = predicate_in(arguments, 1, "selectattr");
  const auto items = items_of(runtime, input);
  runtime.charge(items.size());
  std::vector<Value> kept;
  for (const Value& item : items) {
    const Value value = item_at_path(runtime, item, keys);
    const bool passes =
        predicate == nullptr ? is_true(value) : predicate(runtime, value, rest_of(arguments, 2));
    if (passes == keeps_passing) kept.push_back(item);
  }
  return make_list_value(runtime.arena(), kept);
}

constexpr NamedFilter kFilters[] = {
    {"map", apply_map},
    {"reject", apply_select<false>},
    {"rejectattr", apply_selectattr<false>},
    {"select", apply_select<true>},
    {"selectattr", apply_selectattr<true>},
};

}  // namespace

std::span<const NamedFilter> selection_filters() {
  return kFilters;
}

Value map_to_attribute(Runtime& runtime, std::span<const Value> items, const Value& attribute,
                       const Value& fallback) {
  runtime.charge(items.size());
  const auto keys = keys_of_path(runtime, attribute);
  std::vector<Value> results;
  results.reserve(items.size());
  for (const Value& item : items) {
    const Value value = item_at_path(runtime, item, keys);
    results.push_back(value.is(Kind::kUndefined) ? fallback.is(Kind::kUndefined) ? value : fallback : value);
  }
  return make_list_value(runtime.arena(), results);
}

}  // namespace beryl::text
