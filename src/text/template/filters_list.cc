// Filters on lists and maps as a whole: order, first and last, sums.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "text/template/arguments.h"
#include "text/template/arithmetic.h"
#include "text/template/filters.h"
#include "text/template/limits.h"
#include "text/template/stable_order.h"
#include "text/template/text_operations.h"
#include "text/template/value_order.h"
#include "text/template/value_text.h"

namespace beryl::text {
namespace {

struct Keyed {
  Value key;
  Value item;
};

Value folded(Runtime& runtime, const Value& value, bool is_case_sensitive) {
  if (is_case_sensitive || !value.is(Kind::kString)) return value;
  return Value::string(runtime.arena(), lower(runtime, value.string()));
}

// Keys of `items` by `attribute` (undefined: the items themselves), case folded unless told otherwise.
std::vector<Keyed> keyed_by(Runtime& runtime, std::span<const Value> items, const Value& attribute,
                            bool is_case_sensitive) {
  runtime.charge(items.size());
  const bool has_attribute = !attribute.is(Kind::kUndefined) && !attribute.is(Kind::kNone);
  const Value keys = has_attribute ? map_to_attribute(runtime, items, attribute, Value()) : Value();
  std::vector<Keyed> keyed;
  keyed.reserve(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const Value& key = has_attribute ? keys.items()[i] : items[i];
    keyed.push_back({folded(runtime, key, is_case_sensitive), items[i]});
  }
  return keyed;
}

// Stable also in reverse, as Python's sorted().
void sort_keyed(Runtime& runtime, std::vector<Keyed>& keyed, bool is_reversed) {
  const auto indices = stable_order(keyed.size(), [&](size_t left, size_t right) {
    const int difference = order(runtime, keyed[left].key, keyed[right].key, "<");
    return is_reversed ? difference > 0 : difference < 0;
  });
  std::vector<Keyed> sorted;
  sorted.reserve(keyed.size());
  for (const size_t index : indices) sorted.push_back(keyed[index]);
  keyed = std::move(sorted);
}

Value items_as_list(Runtime& runtime, const std::vector<Keyed>& keyed) {
  std::vector<Value> items;
  items.reserve(keyed.size());
  for (const Keyed& entry : keyed) items.push_back(entry.item);
  return make_list_value(runtime.arena(), items);
}

Value apply_sort(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  auto keyed = keyed_by(runtime, items_of(runtime, input), bound.at(2), bound.is_true_or(1, false));
  sort_keyed(runtime, keyed, bound.is_true_or(0, false));
  return items_as_list(runtime, keyed);
}

Value apply_dictsort(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  if (input.is(Kind::kUndefined)) fail_render(missing_text(input));
  if (!input.is(Kind::kMap))
    fail_render(fmt::format("'{} object' has no attribute 'items'", type_name(input)));
  const std::string_view by = bound.text_or(1, "key");
  if (by != "key" && by != "value") fail_render("You can only sort by either \"key\" or \"value\"");
  std::vector<Keyed> keyed;
  runtime.charge(input.entries().size());
  for (const Entry& entry : input.entries()) {
    const Value pair[] = {entry.key, entry.value};
    const Value& key = by == "key" ? entry.key : entry.value;
    keyed.push_back(
        {folded(runtime, key, bound.is_true_or(0, false)), make_tuple_value(runtime.arena(), pair)});
  }
  sort_keyed(runtime, keyed, bound.is_true_or(2, false));
  return items_as_list(runtime, keyed);
}

Value apply_unique(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("unique", arguments, {"case_sensitive", "attribute"});
  const auto keyed = keyed_by(runtime, items_of(runtime, input), bound.at(1), bound.is_true_or(0, false));
  std::vector<Keyed> kept;
  for (const Keyed& entry : keyed) {
    const bool is_known = std::any_of(
        kept.begin(), kept.end(), [&](const Keyed& other) { return equals(runtime, other.key, entry.key); });
    if (!is_known) kept.push_back(entry);
  }
  return items_as_list(runtime, kept);
}

template <bool wants_largest>
Value apply_extreme(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("min", arguments, {"case_sensitive", "attribute"});
  const auto keyed = keyed_by(runtime, items_of(runtime, input), bound.at(1), bound.is_true_or(0, false));
  if (keyed.empty()) return {};
  const Keyed* best = keyed.data();
  for (const Keyed& entry : keyed) {
    const int difference = order(runtime, entry.key, best->key, wants_largest ? ">" : "<");
    if (wants_largest ? difference > 0 : difference < 0) best = &entry;
  }
  return best->item;
}

Value apply_groupby(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const auto items = items_of(runtime, input);
  const Value keys = map_to_attribute(runtime, items, bound.at(0), bound.at(1));
  std::vector<Keyed> keyed;
  for (size_t i = 0; i < items.size(); ++i) {
    keyed.push_back({folded(runtime, keys.items()[i], bound.is_true_or(2, false)), items[i]});
  }
  sort_keyed(runtime, keyed, false);
  std::vector<Value> groups;
  for (size_t begin = 0; begin < keyed.size();) {
    std::vector<Value> members;
    size_t end = begin;
    while (end < keyed.size() && equals(runtime, keyed[begin].key, keyed[end].key))
      members.push_back(keyed[end++].item);
    const Value first[] = {members.front()};
    const Value key = map_to_attribute(runtime, first, bound.at(0), bound.at(1)).items()[0];
    const Value pair[] = {key, make_list_value(runtime.arena(), members)};
    groups.push_back(make_tuple_value(runtime.arena(), pair));
    begin = end;
  }
  return make_list_value(runtime.arena(), groups);
}

Value apply_first(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("first", arguments, {});
  const Items items = loop_items_of(runtime, input);
  return items.size() == 0 ? Value() : items.at(0);
}

Value apply_last(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("last", arguments, {});
  const Items items = loop_items_of(runtime, input);
  return items.size() == 0 ? Value() : items.at(items.size() - 1);
}

Value apply_list(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("list", arguments, {});
  const auto items = items_of(runtime, input);
  runtime.charge(items.size());
  return make_list_value(runtime.arena(), items);
}

Value apply_reverse(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("reverse", arguments, {});
  if (input.is(Kind::kString)) {
    return Value::string(runtime.arena(), slice(runtime, input.string(), Value(), Value(), -1));
  }
  const auto items = items_of(runtime, input);
  runtime.charge(items.size());
  return make_list_value(runtime.arena(), std::vector<Value>(items.rbegin(), items.rend()));
}

Value apply_sum(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("sum", arguments, {"attribute", "start"});
  auto items = items_of(runtime, input);
  Value mapped;
  if (bound.has(0) && !bound.at(0).is(Kind::kNone)) {
    mapped = map_to_attribute(runtime, items, bound.at(0), Value());
    items = mapped.items();
  }
  Value total = bound.has(1) ? bound.at(1) : Value::integer(0);
  for (const Value& item : items) total = add(runtime, total, item);
  return total;
}

Value apply_items(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("items", arguments, {});
  if (input.is(Kind::kUndefined)) return make_list_value(runtime.arena(), {});
  if (!input.is(Kind::kMap)) fail_render("Can only get item pairs from a mapping.");
  return make_pairs(runtime, input.entries());
}

// Lists of `linecount` items; the last one filled up with `fill_with` if that is given.
Value apply_batch(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const BoundArguments bound("batch", arguments, {"linecount", "fill_with"}, 1);
  const int64_t count = bound.integer_or(0, 1);
  if (count < 1 || count > kRangeItemsMax) fail_render("batch(): the count is out of range");
  const auto items = items_of(runtime, input);
  const auto size = static_cast<size_t>(count);
  runtime.charge(items.size());
  std::vector<Value> lines;
  for (size_t begin = 0; begin < items.size(); begin += size) {
    const auto part = items.subspan(begin, std::min(size, items.size() - begin));
    std::vector<Value> line(part.begin(), part.end());
    if (bound.has(1) && !bound.at(1).is(Kind::kNone)) line.resize(size, bound.at(1));
    lines.push_back(make_list_value(runtime.arena(), line));
  }
  return make_list_value(runtime.arena(), lines);
}

constexpr NamedFilter kFilters[] = {
    {"batch", apply_batch},     {"dictsort", apply_dictsort}, {"first", apply_first},
    {"groupby", apply_groupby}, {"items", apply_items},       {"last", apply_last},
    {"list", apply_list},       {"max", apply_extreme<true>}, {"min", apply_extreme<false>},
    {"reverse", apply_reverse}, {"sort", apply_sort},         {"sum", apply_sum},
    {"unique", apply_unique},
};

}  // namespace

std::span<const NamedFilter> list_filters() {
  return kFilters;
}

Value make_pairs(Runtime& runtime, std::span<const Entry> entries) {
  runtime.charge(entries.size());
  std::vector<Value> pairs;
  pairs.reserve(entries.size());
  for (const Entry& entry : entries) {
    const Value pair[] = {entry.key, entry.value};
    pairs.push_back(make_tuple_value(runtime.arena(), pair));
  }
  return make_list_value(runtime.arena(), pairs);
}

}  // namespace beryl::text
