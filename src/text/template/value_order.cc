#include "text/template/value_order.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/template/unicode.h"

// Containers are walked by recursion; their depth is at most kValueDepthMax.

// NOLINTBEGIN(misc-no-recursion)

namespace beryl::text {
namespace {

int three_way(long double left, long double right) {
  return left < right ? -1 : left > right ? 1 : 0;
}

// Wide enough to hold every 64-bit integer and every double.
long double exact_number(const Value& value) {
  if (value.is(Kind::kFloat)) return static_cast<long double>(value.real());
  return static_cast<long double>(value.integer());
}

bool equal_numbers(const Value& left, const Value& right) {
  if (left.is_integral() && right.is_integral()) return left.integer() == right.integer();
  return exact_number(left) == exact_number(right);
}

bool equal_lists(Runtime& runtime, const Value& left, const Value& right) {
  const auto left_items = left.items();
  const auto right_items = right.items();
  if (left_items.size() != right_items.size()) return false;
  for (size_t i = 0; i < left_items.size(); ++i) {
    if (!equals(runtime, left_items[i], right_items[i])) return false;
  }
  return true;
}

bool equal_maps(Runtime& runtime, const Value& left, const Value& right) {
  if (left.entries().size() != right.entries().size()) return false;
  return std::all_of(left.entries().begin(), left.entries().end(), [&](const Entry& entry) {
    const Value* const other = find_in_map(runtime, right, entry.key);
    return other != nullptr && equals(runtime, entry.value, *other);
  });
}

std::span<const Value> characters_of(Runtime& runtime, const MarkedText& text) {
  runtime.charge(text.size());
  const size_t count = count_characters(text.text());
  auto* const characters = runtime.arena().make_array<Value>(count);
  size_t offset = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t end = offset + character_at(text.text(), offset).byte_count;
    characters[i] = Value::string(runtime.arena(), text.slice(offset, end));
    offset = end;
  }
  return {characters, count};
}

std::span<const Value> keys_of(Runtime& runtime, const Value& map) {
  const auto entries = map.entries();
  auto* const keys = runtime.arena().make_array<Value>(entries.size());
  std::transform(entries.begin(), entries.end(), keys, [](const Entry& entry) { return entry.key; });
  return {keys, entries.size()};
}

std::span<const Value> numbers_of(Runtime& runtime, const Range& range) {
  const auto size = static_cast<size_t>(range.size);
  runtime.charge(size);
  auto* const numbers = runtime.arena().make_array<Value>(size);
  for (size_t i = 0; i < size; ++i) numbers[i] = Value::integer(range.at(static_cast<int64_t>(i)));
  return {numbers, size};
}

}  // namespace

bool is_true(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return value.boolean();
    case Kind::kInt:
      return value.integer() != 0;
    case Kind::kFloat:
      return value.real() != 0;
    case Kind::kString:
      return !value.string().empty();
    case Kind::kList:
    case Kind::kTuple:
      return !value.items().empty();
    case Kind::kMap:
      return !value.entries().empty();
    case Kind::kRange:
      return value.range().size != 0;
    default:
      return true;
  }
}

bool equals(Runtime& runtime, const Value& left, const Value& right) {
  runtime.charge(1);
  if (left.is_number() && right.is_number()) return equal_numbers(left, right);
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::kString:
      return left.text() == right.text();
    case Kind::kList:
    case Kind::kTuple:
      return equal_lists(runtime, left, right);
    case Kind::kMap:
      return equal_maps(runtime, left, right);
    case Kind::kNamespace:
      return &left.name_space() == &right.name_space();
    case Kind::kMacro:
      return &left.macro() == &right.macro();
    case Kind::kFunction:
      return left.function() == right.function();
    case Kind::kMethod:
      return &left.method() == &right.method();
    case Kind::kLoop:
      return &left.loop() == &right.loop();
    case Kind::kRange: {
      const Range& a = left.range();
      const Range& b = right.range();
      return a.size == b.size && (a.size == 0 || (a.start == b.start && (a.size == 1 || a.step == b.step)));
    }
    default:
      return true;  // both undefined or both none
  }
}

int order(Runtime& runtime, const Value& left, const Value& right, std::string_view op) {
  runtime.charge(1);
  if (left.is_number() && right.is_number()) return three_way(exact_number(left), exact_number(right));
  if (left.is(Kind::kString) && right.is(Kind::kString)) {
    // The order of UTF-8 bytes is the order of characters.
    const int difference = left.text().compare(right.text());
    return difference < 0 ? -1 : difference > 0 ? 1 : 0;
  }
  if (left.is_sequence() && left.kind() == right.kind()) {
    const auto left_items = left.items();
    const auto right_items = right.items();
    for (size_t i = 0; i < std::min(left_items.size(), right_items.size()); ++i) {
      if (!equals(runtime, left_items[i], right_items[i]))
        return order(runtime, left_items[i], right_items[i], op);
    }
    return left_items.size() < right_items.size() ? -1 : left_items.size() > right_items.size() ? 1 : 0;
  }
  fail_render(fmt::format("'{}' not supported between instances of '{}' and '{}'", op, type_name(left),
                          type_name(right)));
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kUndefined:
      return false;
    case Kind::kString:
      if (!item.is(Kind::kString)) {
        fail_render(fmt::format("'in <string>' requires string as left operand, not {}", type_name(item)));
      }
      charge_search(runtime, container.text().size(), item.text().size());
      return container.text().find(item.text()) != std::string_view::npos;
    case Kind::kMap:
      return find_in_map(runtime, container, item) != nullptr;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: {
      const auto items = items_of(runtime, container);
      return std::any_of(items.begin(), items.end(),
                         [&](const Value& candidate) { return equals(runtime, candidate, item); });
    }
    default:
      fail_render(fmt::format("argument of type '{}' is not iterable", type_name(container)));
  }
}

const Value* find_in_map(Runtime& runtime, const Value& map, const Value& key) {
  const auto entries = map.entries();
  if (key.is(Kind::kString)) {
    runtime.charge(entries.size() / 8);
    const std::string_view text = key.text();
    for (const Entry& entry : entries) {
      if (entry.key.is(Kind::kString) && entry.key.text() == text) return &entry.value;
    }
    return nullptr;
  }
  for (const Entry& entry : entries) {
    if (equals(runtime, entry.key, key)) return &entry.value;
  }
  return nullptr;
}

void put_entry(Runtime& runtime, std::vector<Entry>& entries, const Value& key, const Value& value) {
  if (key.is(Kind::kList) || key.is(Kind::kMap)) {
    fail_render(fmt::format("unhashable type: '{}'", type_name(key)));
  }
  const auto same = std::find_if(entries.begin(), entries.end(),
                                 [&](const Entry& entry) { return equals(runtime, entry.key, key); });
  if (same != entries.end()) {
    same->value = value;
  } else {
    entries.push_back({key, value});
  }
}

std::span<const Value> items_of(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return {};
    case Kind::kList:
    case Kind::kTuple:
      return value.items();
    case Kind::kString:
      return characters_of(runtime, value.string());
    case Kind::kMap:
      return keys_of(runtime, value);
    case Kind::kRange:
      return numbers_of(runtime, value.range());
    default:
      fail_render(fmt::format("'{}' object is not iterable", type_name(value)));
  }
}

Items loop_items_of(Runtime& runtime, const Value& value) {
  if (value.is(Kind::kRange)) return {{}, &value.range()};
  return {items_of(runtime, value), nullptr};
}

void charge_search(Runtime& runtime, size_t haystack_bytes, size_t needle_bytes) {
  constexpr uint64_t kBytesPerStep = 1024;
  runtime.charge(uint64_t{haystack_bytes} / kBytesPerStep * needle_bytes + 1);
}

int64_t length_of(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      runtime.charge(value.text().size() / 64);
      return static_cast<int64_t>(count_characters(value.text()));
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<int64_t>(value.items().size());
    case Kind::kMap:
      return static_cast<int64_t>(value.entries().size());
    case Kind::kRange:
      return value.range().size;
    case Kind::kLoop:
      return value.loop().items.size();
    default:
      fail_render(fmt::format("object of type '{}' has no len()", type_name(value)));
  }
}

}  // namespace beryl::text

// NOLINTEND(misc-no-recursion)
