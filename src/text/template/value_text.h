// Values as text: Python's str() and repr(), and JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/template/marked_text.h"
#include "text/template/runtime.h"
#include "text/template/value.h"

namespace beryl::text {

// Digits, brackets, quotes and whatever else is computed has no author that may write control tokens.
inline constexpr Origin kComputed = Origin::kCaller;

// Python's repr of a float: the shortest digits that read back as `value`.
std::string float_text(double value);

// Python's str(). Strings keep their origins, also inside of containers. Errors: kInvalidInput for what has
// no text, such as a macro; kResource as Runtime.
MarkedText to_text(Runtime& runtime, const Value& value);
void append_text(Runtime& runtime, MarkedTextBuilder& out, const Value& value);

// Python's repr().
void append_repr(Runtime& runtime, MarkedTextBuilder& out, const Value& value);

struct JsonStyle {
  int64_t indent = -1;  // spaces per level; negative: all in one line
  std::string_view item_separator = ", ";
  std::string_view key_separator = ": ";
  bool sorts_keys = false;
  bool is_ascii = false;
};

// Python's json.dumps(). Errors: kInvalidInput for what JSON does not have.
MarkedText to_json(Runtime& runtime, const Value& value, const JsonStyle& style);

// Why an undefined value is undefined, as Jinja says it: "'x' is undefined".
std::string missing_text(const Value& value);

}  // namespace beryl::text
