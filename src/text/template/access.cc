#include "text/template/access.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "text/template/methods.h"
#include "text/template/text_operations.h"
#include "text/template/unicode.h"
#include "text/template/value_order.h"
#include "text/template/value_text.h"

namespace beryl::text {
namespace {

Value missing(Runtime& runtime, const Value& owner, const Value& key) {
  return Value::undefined(runtime.arena().make(Missing{owner, key}));
}

Value loop_item(Runtime& runtime, const Value& loop_value, std::string_view name, int64_t index) {
  const Loop& loop = loop_value.loop();
  if (index >= 0 && index < loop.items.size()) return loop.items.at(index);
  return missing(runtime, loop_value, Value::string(runtime.arena(), MarkedText(name, Origin::kTemplate)));
}

// Null kind (undefined) when a loop has no such attribute.
Value loop_attribute(Runtime& runtime, const Value& owner, std::string_view name) {
  const Loop& loop = owner.loop();
  const int64_t size = loop.items.size();
  if (name == "index") return Value::integer(loop.index0 + 1);
  if (name == "index0") return Value::integer(loop.index0);
  if (name == "revindex") return Value::integer(size - loop.index0);
  if (name == "revindex0") return Value::integer(size - loop.index0 - 1);
  if (name == "first") return Value::boolean(loop.index0 == 0);
  if (name == "last") return Value::boolean(loop.index0 == size - 1);
  if (name == "length") return Value::integer(size);
  // Only recursive loops go deeper.
  if (name == "depth") return Value::integer(1);
  if (name == "depth0") return Value::integer(0);
  if (name == "previtem") return loop_item(runtime, owner, name, loop.index0 - 1);
  if (name == "nextitem") return loop_item(runtime, owner, name, loop.index0 + 1);
  return {};
}

// A method, or a built-in attribute; undefined when there is none.
Value built_in(Runtime& runtime, const Value& object, std::string_view name) {
  if (object.is(Kind::kLoop)) {
    const Value value = loop_attribute(runtime, object, name);
    if (!value.is(Kind::kUndefined)) return value;
  }
  if (object.is(Kind::kNamespace)) {
    const Value* const value = find_in_namespace(object.name_space(), name);
    if (value != nullptr) return *value;
  }
  const auto method = find_method(object, name);
  return method ? Value::method(runtime.arena().make(*method)) : Value();
}

// The item of a sequence, or nothing.
std::optional<Value> indexed(Runtime& runtime, const Value& object, int64_t index) {
  if (object.is(Kind::kString)) {
    runtime.charge(object.text().size() / 16);
    const auto size = static_cast<int64_t>(count_characters(object.text()));
    if (index < -size || index >= size) return std::nullopt;
    const auto position = static_cast<size_t>(index < 0 ? index + size : index);
    const size_t begin = offset_of_character(object.text(), position);
    const size_t end = begin + character_at(object.text(), begin).byte_count;
    return Value::string(runtime.arena(), object.string().slice(begin, end));
  }
  if (!object.is_sequence() && !object.is(Kind::kRange)) return std::nullopt;
  const int64_t size = length_of(runtime, object);
  if (index < -size || index >= size) return std::nullopt;
  const int64_t position = index < 0 ? index + size : index;
  if (object.is(Kind::kRange)) return Value::integer(object.range().at(position));
  return object.items()[static_cast<size_t>(position)];
}

}  // namespace

Value find_attribute(Runtime& runtime, const Value& object, const Value& name) {
  if (object.is(Kind::kUndefined)) fail_render(missing_text(object));
  const Value value = built_in(runtime, object, name.text());
  if (!value.is(Kind::kUndefined)) return value;
  if (object.is(Kind::kMap)) {
    const Value* const found = find_in_map(runtime, object, name);
    if (found != nullptr) return *found;
  }
  return missing(runtime, object, name);
}

Value find_item(Runtime& runtime, const Value& object, const Value& key) {
  if (object.is(Kind::kUndefined)) fail_render(missing_text(object));
  if (object.is(Kind::kMap)) {
    const Value* const found = find_in_map(runtime, object, key);
    if (found != nullptr) return *found;
  } else if (key.is_integral()) {
    const auto found = indexed(runtime, object, key.integer());
    if (found) return *found;
  }
  if (key.is(Kind::kString)) {
    const Value value = built_in(runtime, object, key.text());
    if (!value.is(Kind::kUndefined)) return value;
  }
  return missing(runtime, object, key);
}

Value slice_of(Runtime& runtime, const Value& object, const Value& begin, const Value& end,
               const Value& step) {
  if (object.is(Kind::kUndefined)) fail_render(missing_text(object));
  const bool has_step = !step.is(Kind::kUndefined) && !step.is(Kind::kNone);
  if (has_step && !step.is_integral()) fail_render("slice indices must be integers or None");
  const int64_t stride = has_step ? step.integer() : 1;
  if (object.is(Kind::kString)) {
    return Value::string(runtime.arena(), slice(runtime, object.string(), begin, end, stride));
  }
  if (object.is(Kind::kMap)) fail_render("unhashable type: 'slice'");
  if (!object.is_sequence() && !object.is(Kind::kRange)) return {};
  const auto [first, count] = slice_range(begin, end, stride, length_of(runtime, object));
  if (object.is(Kind::kRange)) {
    const Range& range = object.range();
    const int64_t range_step = count > 1 ? range.step * stride : range.step;
    return Value::range(
        runtime.arena().make(Range{count > 0 ? range.at(first) : range.start, range_step, count}));
  }
  runtime.charge(static_cast<uint64_t>(count));
  if (stride == 1) {
    const auto items = object.items().subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    return object.is(Kind::kTuple) ? make_tuple_value(runtime.arena(), items)
                                   : make_list_value(runtime.arena(), items);
  }
  std::vector<Value> items;
  for (int64_t i = 0; i < count; ++i)
    items.push_back(object.items()[static_cast<size_t>(first + i * stride)]);
  return object.is(Kind::kTuple) ? make_tuple_value(runtime.arena(), items)
                                 : make_list_value(runtime.arena(), items);
}

}  // namespace beryl::text
