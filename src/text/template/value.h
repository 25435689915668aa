// Values that a template computes with: Python's, as far as chat templates need them.
//
// A Value is a small handle, copied freely; what it refers to lives in the arena of the render (or of the
// template, for literals). Strings, lists, tuples and maps never change once made; a namespace and a loop do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/template/arena.h"
#include "text/template/marked_text.h"

namespace beryl::text {

class Runtime;
class Value;
struct Arguments;
struct Entry;
struct Loop;
struct Macro;
struct Method;
struct Missing;
struct Namespace;
struct Range;

struct List {
  const Value* items = nullptr;
  size_t size = 0;
  int depth = 1;  // containers within each other, this one included
};

// In order of insertion; keys are unique.
struct Map {
  const Entry* entries = nullptr;
  size_t size = 0;
  int depth = 1;
};

using Function = Value (*)(Runtime& runtime, const Arguments& arguments);

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kMap,
  kRange,
  kNamespace,
  kMacro,
  kFunction,
  kMethod,
  kLoop,
};

class Value {
 public:
  // Undefined, with nothing known about why.
  Value() = default;

  static Value undefined(const Missing* reason) { return Value(Kind::kUndefined, {.missing = reason}); }
  static Value none() { return Value(Kind::kNone, {.missing = nullptr}); }
  static Value boolean(bool value) { return Value(Kind::kBool, {.boolean = value}); }
  static Value integer(int64_t value) { return Value(Kind::kInt, {.integer = value}); }
  static Value real(double value) { return Value(Kind::kFloat, {.real = value}); }
  static Value string(const MarkedText* text) { return Value(Kind::kString, {.string = text}); }
  static Value string(Arena& arena, const MarkedText& text) { return string(arena.make(text)); }
  static Value list(const List* list) { return Value(Kind::kList, {.list = list}); }
  static Value tuple(const List* list) { return Value(Kind::kTuple, {.list = list}); }
  static Value map(const Map* map) { return Value(Kind::kMap, {.map = map}); }
  static Value range(const Range* range) { return Value(Kind::kRange, {.range = range}); }
  static Value name_space(Namespace* space) { return Value(Kind::kNamespace, {.name_space = space}); }
  static Value macro(const Macro* macro) { return Value(Kind::kMacro, {.macro = macro}); }
  static Value function(Function function) { return Value(Kind::kFunction, {.function = function}); }
  static Value method(const Method* method) { return Value(Kind::kMethod, {.method = method}); }
  static Value loop(Loop* loop) { return Value(Kind::kLoop, {.loop = loop}); }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_sequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }
  // In Python a bool is an int.
  bool is_integral() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  bool is_number() const { return is_integral() || kind_ == Kind::kFloat; }

  // Each only for values of that kind. missing() is null when nothing is known.
  const Missing* missing() const { return as_.missing; }
  bool boolean() const { return as_.boolean; }
  const MarkedText& string() const { return *as_.string; }
  std::string_view text() const { return as_.string->text(); }
  std::span<const Value> items() const;
  std::span<const Entry> entries() const;
  const Range& range() const { return *as_.range; }
  Namespace& name_space() const { return *as_.name_space; }
  const Macro& macro() const { return *as_.macro; }
  Function function() const { return as_.function; }
  const Method& method() const { return *as_.method; }
  Loop& loop() const { return *as_.loop; }
  // Of a kInt or kBool.
  int64_t integer() const { return kind_ == Kind::kBool ? int64_t{as_.boolean} : as_.integer; }
  // Of any number.
  double real() const { return kind_ == Kind::kFloat ? as_.real : static_cast<double>(integer()); }

  // Containers within each other; 0 for everything else.
  int depth() const;

 private:
  union Payload {
    const Missing* missing;
    bool boolean;
    int64_t integer;
    double real;
    const MarkedText* string;
    const List* list;
    const Map* map;
    const Range* range;
    Namespace* name_space;
    const Macro* macro;
    Function function;
    const Method* method;
    Loop* loop;
  };

  Value(Kind kind, Payload payload) : kind_(kind), as_(payload) {}

  Kind kind_ = Kind::kUndefined;
  Payload as_ = {.missing = nullptr};
};

struct Entry {
  Value key;
  Value value;
};

// Why a value is undefined: a variable of that name is not set (`owner` undefined), or `owner` has no such
// key or attribute.
struct Missing {
  Value owner;
  Value key;
};

// The integers start, start + step, ... (`size` of them).
struct Range {
  int64_t start = 0;
  int64_t step = 1;
  int64_t size = 0;

  int64_t at(int64_t index) const { return start + index * step; }
};

// What a loop goes over: a range is not spelt out, everything else is.
struct Items {
  std::span<const Value> values;
  const Range* range = nullptr;  // or null: `values`

  int64_t size() const { return range != nullptr ? range->size : static_cast<int64_t>(values.size()); }
  Value at(int64_t index) const {
    return range != nullptr ? Value::integer(range->at(index)) : values[static_cast<size_t>(index)];
  }
};

// The one value that a template may change: {% set ns.name = value %}.
struct Namespace {
  Entry* entries = nullptr;  // keys are strings
  size_t size = 0;
  size_t capacity = 0;
};

// `loop` inside of a for.
struct Loop {
  Items items;
  int64_t index0 = 0;
  const List* last_changed = nullptr;  // what loop.changed() was called with before
};

// A method such as "x".upper that was looked up but not called yet.
struct Method {
  Value owner;
  std::string_view name;
  Value (*call)(Runtime& runtime, const Value& owner, const Arguments& arguments) = nullptr;
};

struct NamedValue {
  std::string_view name;
  Value value;
};

// Of one call. They live until the call returns.
struct Arguments {
  std::span<const Value> positional;
  std::span<const NamedValue> named;
};

inline std::span<const Value> Value::items() const {
  return {as_.list->items, as_.list->size};
}
inline std::span<const Entry> Value::entries() const {
  return {as_.map->entries, as_.map->size};
}
inline int Value::depth() const {
  if (is_sequence()) return as_.list->depth;
  return kind_ == Kind::kMap ? as_.map->depth : 0;
}

// Copies of the items and entries in `arena`. Errors: kResource past kValueDepthMax.
Value make_list_value(Arena& arena, std::span<const Value> items);
Value make_tuple_value(Arena& arena, std::span<const Value> items);
// Keys must be unique already.
Value make_map_value(Arena& arena, std::span<const Entry> entries);

// Python's name of the type, as error messages need it: "str", "dict".
std::string_view type_name(const Value& value);

// Null when there is no such key.
const Value* find_in_namespace(const Namespace& space, std::string_view name);
void set_in_namespace(Arena& arena, Namespace& space, const MarkedText& name, const Value& value);

}  // namespace beryl::text
