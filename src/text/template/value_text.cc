#include "text/template/value_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "base/quote.h"
#include "text/template/stable_order.h"
#include "text/template/unicode.h"
#include "text/template/value_order.h"

// Containers are walked by recursion; their depth is at most kValueDepthMax.

// NOLINTBEGIN(misc-no-recursion)

namespace beryl::text {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

void append_hex(std::string& out, std::string_view prefix, uint32_t code, int digits) {
  out += prefix;
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out += kHexDigits[(code >> shift) & 0xFU];
}

// Calls `escape(std::string& out, Character, std::string_view bytes)` for every character of `text`.
template <typename Escape>
void append_escaped(Runtime& runtime, MarkedTextBuilder& out, const MarkedText& text, Escape&& escape) {
  runtime.charge(text.size() / 16);
  text.for_each_run([&](std::string_view piece, Origin origin) {
    std::string escaped;
    escaped.reserve(piece.size());
    for (size_t offset = 0; offset < piece.size();) {
      const Character character = character_at(piece, offset);
      escape(escaped, character, piece.substr(offset, character.byte_count));
      offset += character.byte_count;
    }
    out.append(escaped, origin);
  });
}

void append_string_repr(Runtime& runtime, MarkedTextBuilder& out, const MarkedText& text) {
  const bool has_single = text.text().find('\'') != std::string_view::npos;
  const bool has_double = text.text().find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  out.append({&quote, 1}, kComputed);
  append_escaped(runtime, out, text, [quote](std::string& to, Character character, std::string_view bytes) {
    const uint32_t code = character.code;
    if (code == static_cast<unsigned char>(quote) || code == '\\') {
      to += '\\';
      to += static_cast<char>(code);
    } else if (code == '\n' || code == '\r' || code == '\t') {
      to += code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t";
    } else if (code >= kInvalidCode || is_printable(code)) {
      to += bytes;
    } else if (code < 0x100) {
      append_hex(to, "\\x", code, 2);
    } else if (code < 0x10000) {
      append_hex(to, "\\u", code, 4);
    } else {
      append_hex(to, "\\U", code, 8);
    }
  });
  out.append({&quote, 1}, kComputed);
}

void append_json_code(std::string& to, uint32_t code) {
  if (code < 0x10000) return append_hex(to, "\\u", code, 4);
  append_hex(to, "\\u", 0xD800U + ((code - 0x10000U) >> 10U), 4);
  append_hex(to, "\\u", 0xDC00U + ((code - 0x10000U) & 0x3FFU), 4);
}

void append_json_string(Runtime& runtime, MarkedTextBuilder& out, const MarkedText& text, bool is_ascii) {
  out.append("\"", kComputed);
  append_escaped(runtime, out, text,
                 [is_ascii](std::string& to, Character character, std::string_view bytes) {
                   switch (character.code) {
                     case '"':
                       to += "\\\"";
                       return;
                     case '\\':
                       to += "\\\\";
                       return;
                     case '\n':
                       to += "\\n";
                       return;
                     case '\r':
                       to += "\\r";
                       return;
                     case '\t':
                       to += "\\t";
                       return;
                     case '\b':
                       to += "\\b";
                       return;
                     case '\f':
                       to += "\\f";
                       return;
                     default:
                       break;
                   }
                   const bool is_escaped = character.code < 0x20 || (is_ascii && character.code >= 0x7F);
                   if (is_escaped && character.code < kInvalidCode) {
                     append_json_code(to, character.code);
                   } else {
                     to += bytes;
                   }
                 });
  out.append("\"", kComputed);
}

std::string_view bool_text(bool value) {
  return value ? "True" : "False";
}

// What both str() and repr() print alike, but containers; nothing for those.
std::string plain_text(const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return std::string(bool_text(value.boolean()));
    case Kind::kInt:
      return fmt::format("{}", value.integer());
    case Kind::kFloat:
      return float_text(value.real());
    case Kind::kRange: {
      const Range& range = value.range();
      const std::string ends = fmt::format("{}, {}", range.start, range.at(range.size));
      return range.step == 1 ? fmt::format("range({})", ends)
                             : fmt::format("range({}, {})", ends, range.step);
    }
    default:
      fail_render(fmt::format("a {} cannot be printed", type_name(value)));
  }
}

void append_container(Runtime& runtime, MarkedTextBuilder& out, const Value& value) {
  const bool is_tuple = value.is(Kind::kTuple);
  bool is_first = true;
  const auto separate = [&] { out.append(std::exchange(is_first, false) ? "" : ", ", kComputed); };
  out.append(value.is(Kind::kMap) ? "{" : is_tuple ? "(" : "[", kComputed);
  if (value.is(Kind::kMap)) {
    for (const Entry& entry : value.entries()) {
      separate();
      append_repr(runtime, out, entry.key);
      out.append(": ", kComputed);
      append_repr(runtime, out, entry.value);
    }
  } else {
    for (const Value& item : value.items()) {
      separate();
      append_repr(runtime, out, item);
    }
  }
  if (is_tuple && value.items().size() == 1) out.append(",", kComputed);
  out.append(value.is(Kind::kMap) ? "}" : is_tuple ? ")" : "]", kComputed);
}

class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const JsonStyle& style)
      : runtime_(runtime), style_(style), out_(runtime.arena()) {}

  void write(const Value& value) {
    runtime_.charge(1);
    switch (value.kind()) {
      case Kind::kString:
        return append_json_string(runtime_, out_, value.string(), style_.is_ascii);
      case Kind::kList:
      case Kind::kTuple:
        return write_list(value);
      case Kind::kMap:
        return write_map(value);
      default:
        return out_.append(scalar_text(value), kComputed);
    }
  }

  MarkedText finish() const { return out_.finish(); }

 private:
  static std::string scalar_text(const Value& value) {
    switch (value.kind()) {
      case Kind::kNone:
        return "null";
      case Kind::kBool:
        return value.boolean() ? "true" : "false";
      case Kind::kInt:
        return fmt::format("{}", value.integer());
      case Kind::kFloat:
        if (std::isnan(value.real())) return "NaN";
        if (std::isinf(value.real())) return value.real() < 0 ? "-Infinity" : "Infinity";
        return float_text(value.real());
      default:
        fail_render(fmt::format("Object of type {} is not JSON serializable", type_name(value)));
    }
  }

  void start_line() {
    if (style_.indent < 0) return;
    out_.append("\n", kComputed);
    out_.append(std::string(static_cast<size_t>(style_.indent) * level_, ' '), kComputed);
  }

  void write_list(const Value& list) {
    if (list.items().empty()) return out_.append("[]", kComputed);
    out_.append("[", kComputed);
    ++level_;
    for (const Value& item : list.items()) {
      if (&item != list.items().data()) out_.append(style_.item_separator, kComputed);
      start_line();
      write(item);
    }
    --level_;
    start_line();
    out_.append("]", kComputed);
  }

  void write_map(const Value& map) {
    if (map.entries().empty()) return out_.append("{}", kComputed);
    const auto entries = map.entries();
    const auto indices = stable_order(entries.size(), [&](size_t left, size_t right) {
      return style_.sorts_keys && order(runtime_, entries[left].key, entries[right].key, "<") < 0;
    });
    out_.append("{", kComputed);
    ++level_;
    for (size_t i = 0; i < indices.size(); ++i) {
      if (i > 0) out_.append(style_.item_separator, kComputed);
      start_line();
      write_key(entries[indices[i]].key);
      out_.append(style_.key_separator, kComputed);
      write(entries[indices[i]].value);
    }
    --level_;
    start_line();
    out_.append("}", kComputed);
  }

  void write_key(const Value& key) {
    if (key.is(Kind::kString)) return append_json_string(runtime_, out_, key.string(), style_.is_ascii);
    out_.append(fmt::format("\"{}\"", scalar_text(key)), kComputed);
  }

  Runtime& runtime_;
  const JsonStyle& style_;
  MarkedTextBuilder out_;
  size_t level_ = 0;
};

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  // Shortest digits as d.ddde+XX, laid out as Python does.
  char buffer[32];
  const auto written = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(written.ptr - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  const std::string_view exponent_text = text.substr(text[e + 1] == '+' ? e + 2 : e + 1);
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  const std::string sign = std::signbit(value) ? "-" : "";
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    const std::string fraction = count > 1 ? "." + digits.substr(1) : "";
    return fmt::format("{}{}{}e{}{:02}", sign, digits[0], fraction, exponent < 0 ? '-' : '+',
                       std::abs(exponent));
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent + 1);
  if (count <= exponent + 1) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

MarkedText to_text(Runtime& runtime, const Value& value) {
  if (value.is(Kind::kString)) return value.string();
  MarkedTextBuilder out(runtime.arena());
  append_text(runtime, out, value);
  return out.finish();
}

void append_text(Runtime& runtime, MarkedTextBuilder& out, const Value& value) {
  if (value.is(Kind::kString)) {
    out.append(value.string());
  } else if (!value.is(Kind::kUndefined)) {
    append_repr(runtime, out, value);
  }
}

void append_repr(Runtime& runtime, MarkedTextBuilder& out, const Value& value) {
  runtime.charge(1);
  switch (value.kind()) {
    case Kind::kUndefined:
      return out.append("Undefined", kComputed);
    case Kind::kString:
      return append_string_repr(runtime, out, value.string());
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kMap:
      return append_container(runtime, out, value);
    default:
      return out.append(plain_text(value), kComputed);
  }
}

MarkedText to_json(Runtime& runtime, const Value& value, const JsonStyle& style) {
  JsonWriter writer(runtime, style);
  writer.write(value);
  return writer.finish();
}

std::string missing_text(const Value& value) {
  const Missing* const missing = value.missing();
  if (missing == nullptr) return "the value is undefined";
  const Value& owner = missing->owner;
  const std::string owner_text = owner.is(Kind::kNone) ? "None" : fmt::format("{} object", type_name(owner));
  if (!missing->key.is(Kind::kString)) {
    const std::string key = missing->key.is_integral() ? fmt::format("{}", missing->key.integer())
                                                       : std::string(type_name(missing->key));
    return fmt::format("{} has no element {}", owner_text, key);
  }
  if (owner.is(Kind::kUndefined)) return quote(missing->key.text()) + " is undefined";
  return fmt::format("'{}' has no attribute {}", owner_text, quote(missing->key.text()));
}

}  // namespace beryl::text

// NOLINTEND(misc-no-recursion)
