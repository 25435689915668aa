#include "text/template/value.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "text/template/limits.h"

namespace beryl::text {
namespace {

int checked_depth(int depth_of_items) {
  if (depth_of_items >= kValueDepthMax) {
    throw Error(ErrorCode::kResource, fmt::format("values nested deeper than {}", kValueDepthMax));
  }
  return depth_of_items + 1;
}

const List* make_items(Arena& arena, std::span<const Value> items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  auto* const copies = arena.make_array<Value>(items.size());
  std::copy(items.begin(), items.end(), copies);
  return arena.make(List{copies, items.size(), checked_depth(depth)});
}

}  // namespace

Value make_list_value(Arena& arena, std::span<const Value> items) {
  return Value::list(make_items(arena, items));
}

Value make_tuple_value(Arena& arena, std::span<const Value> items) {
  return Value::tuple(make_items(arena, items));
}

Value make_map_value(Arena& arena, std::span<const Entry> entries) {
  int depth = 0;
  for (const Entry& entry : entries) depth = std::max({depth, entry.key.depth(), entry.value.depth()});
  auto* const copies = arena.make_array<Entry>(entries.size());
  std::copy(entries.begin(), entries.end(), copies);
  return Value::map(arena.make(Map{copies, entries.size(), checked_depth(depth)}));
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kMap:
      return "dict";
    case Kind::kRange:
      return "range";
    case Kind::kNamespace:
      return "namespace";
    case Kind::kMacro:
      return "macro";
    case Kind::kFunction:
      return "function";
    case Kind::kMethod:
      return "method";
    case Kind::kLoop:
      return "loop";
  }
  return "value";
}

const Value* find_in_namespace(const Namespace& space, std::string_view name) {
  for (size_t i = 0; i < space.size; ++i) {
    if (space.entries[i].key.text() == name) return &space.entries[i].value;
  }
  return nullptr;
}

void set_in_namespace(Arena& arena, Namespace& space, const MarkedText& name, const Value& value) {
  for (size_t i = 0; i < space.size; ++i) {
    if (space.entries[i].key.text() == name.text()) {
      space.entries[i].value = value;
      return;
    }
  }
  if (space.size == space.capacity) {
    const size_t capacity = space.capacity == 0 ? 4 : space.capacity * 2;
    auto* const entries = arena.make_array<Entry>(capacity);
    std::copy(space.entries, space.entries + space.size, entries);
    space.entries = entries;
    space.capacity = capacity;
  }
  space.entries[space.size++] = {Value::string(arena, name), value};
}

}  // namespace beryl::text
