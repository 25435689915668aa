#include "text/template/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "base/quote.h"
#include "text/template/limits.h"
#include "text/template/unicode.h"
#include "text/template/value_order.h"
#include "text/template/value_text.h"

namespace beryl::text {
namespace {

struct Specification {
  char type = 's';
  char align = '\0';  // '<', '>', '^', '=' (padding behind the sign); none: by type
  char fill = ' ';
  char sign = '\0';  // '+' or ' ' in front of numbers that are not negative
  int64_t width = 0;
  int64_t precision = -1;
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Reads a format string from left to right.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool at_end() const { return offset_ >= text_.size(); }
  char peek(size_t ahead = 0) const { return offset_ + ahead < text_.size() ? text_[offset_ + ahead] : '\0'; }
  size_t offset() const { return offset_; }
  void skip() { ++offset_; }
  bool skip_if(char c) {
    if (peek() != c) return false;
    ++offset_;
    return true;
  }

  char take() {
    if (at_end()) fail_render("incomplete format");
    return text_[offset_++];
  }

  // `fallback` when there are no digits.
  int64_t take_integer(int64_t fallback) {
    if (!is_digit(peek())) return fallback;
    int64_t value = 0;
    for (; is_digit(peek()); skip())
      value = std::min<int64_t>(value * 10 + (peek() - '0'), kFormatWidthMax + 1);
    if (value > kFormatWidthMax)
      fail_render(fmt::format("a width or precision over {} in a format", kFormatWidthMax));
    return value;
  }

  std::string_view take_until(char stop) {
    const size_t end = text_.find(stop, offset_);
    if (end == std::string_view::npos) fail_render(fmt::format("expected '{}' in a format", stop));
    const std::string_view taken = text_.substr(offset_, end - offset_);
    offset_ = end + 1;
    return taken;
  }

 private:
  std::string_view text_;
  size_t offset_ = 0;
};

std::string real_digits(double value, const Specification& spec) {
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return "inf";
  switch (spec.type) {
    case 'e':
      return fmt::format("{:.{}e}", value, precision);
    case 'g':
      return fmt::format("{:.{}g}", value, std::max(precision, 1));
    default:
      return fmt::format("{:.{}f}", value, precision);
  }
}

std::string integer_digits(uint64_t magnitude, char type) {
  switch (type) {
    case 'x':
      return fmt::format("{:x}", magnitude);
    case 'X':
      return fmt::format("{:X}", magnitude);
    case 'o':
      return fmt::format("{:o}", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

// Digits without a sign; `is_negative` tells it.
std::string number_digits(const Value& value, const Specification& spec, bool& is_negative) {
  if (!value.is_number()) {
    fail_render(fmt::format("%{} format: a number is required, not {}", spec.type, type_name(value)));
  }
  const bool is_real = spec.type == 'f' || spec.type == 'e' || spec.type == 'g';
  if (is_real) {
    is_negative = std::signbit(value.real());
    return real_digits(std::abs(value.real()), spec);
  }
  int64_t integer = 0;
  if (value.is_integral()) {
    integer = value.integer();
  } else if (std::abs(value.real()) < 0x1p63) {
    integer = static_cast<int64_t>(value.real());
  } else {
    fail_render("a number is too large for this format");
  }
  is_negative = integer < 0;
  const auto magnitude = is_negative ? ~static_cast<uint64_t>(integer) + 1 : static_cast<uint64_t>(integer);
  return integer_digits(magnitude, spec.type);
}

void append_padded(MarkedTextBuilder& out, const MarkedText& sign, const MarkedText& body,
                   const Specification& spec) {
  const auto used = static_cast<int64_t>(count_characters(body.text()) + sign.size());
  const auto padding = static_cast<size_t>(std::max<int64_t>(spec.width - used, 0));
  const size_t before = spec.align == '<' ? 0 : spec.align == '^' ? padding / 2 : padding;
  if (spec.align == '=') out.append(sign);
  out.append(std::string(before, spec.fill), kComputed);
  if (spec.align != '=') out.append(sign);
  out.append(body);
  out.append(std::string(padding - before, spec.fill), kComputed);
}

void append_formatted(Runtime& runtime, MarkedTextBuilder& out, const Value& value, Specification spec) {
  if (spec.type == 's' || spec.type == 'r') {
    MarkedText text;
    if (spec.type == 's') {
      text = to_text(runtime, value);
    } else {
      MarkedTextBuilder repr(runtime.arena());
      append_repr(runtime, repr, value);
      text = repr.finish();
    }
    if (spec.precision >= 0) {
      text = text.slice(0, offset_of_character(text.text(), static_cast<size_t>(spec.precision)));
    }
    return append_padded(out, {}, text, spec);
  }
  bool is_negative = false;
  const std::string digits = number_digits(value, spec, is_negative);
  const std::string sign = is_negative ? "-" : spec.sign != '\0' ? std::string(1, spec.sign) : "";
  append_padded(out, MarkedText(sign, kComputed), MarkedText(digits, kComputed), spec);
}

Specification take_percent_specification(Reader& reader) {
  Specification spec;
  spec.align = '>';
  for (;; reader.skip()) {
    const char flag = reader.peek();
    if (flag == '-') {
      spec.align = '<';
    } else if (flag == '0') {
      spec.fill = '0';
    } else if (flag == '+' || (flag == ' ' && spec.sign == '\0')) {
      spec.sign = flag;
    } else if (flag != ' ' && flag != '#') {
      break;
    }
  }
  spec.width = reader.take_integer(0);
  if (reader.skip_if('.')) spec.precision = reader.take_integer(0);
  spec.type = reader.take();
  if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
  if (spec.type == 'F') spec.type = 'f';
  if (std::string_view("srdfegxXo%").find(spec.type) == std::string_view::npos) {
    fail_render(fmt::format("unsupported format character {}", quote({&spec.type, 1})));
  }
  const bool is_text = spec.type == 's' || spec.type == 'r';
  if (spec.align == '<' || is_text) spec.fill = ' ';
  if (spec.fill == '0') spec.align = '=';
  return spec;
}

Specification parse_brace_specification(std::string_view text, const Value& value) {
  Reader reader(text);
  Specification spec;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  if (is_align(reader.peek(1))) spec.fill = reader.take();
  if (is_align(reader.peek())) spec.align = reader.take();
  if (reader.peek() == '+' || reader.peek() == ' ') spec.sign = reader.take();
  if (reader.peek() == '-') reader.skip();
  if (reader.skip_if('0') && spec.align == '\0') {
    spec.fill = '0';
    spec.align = '=';
  }
  spec.width = reader.take_integer(0);
  if (reader.skip_if('.')) spec.precision = reader.take_integer(0);
  const bool is_number = value.is_number() && !value.is(Kind::kBool);
  spec.type = value.is(Kind::kInt) ? 'd' : is_number && spec.precision >= 0 ? 'g' : 's';
  if (!reader.at_end()) spec.type = reader.take();
  if (!reader.at_end() || std::string_view("sdfegxXo").find(spec.type) == std::string_view::npos) {
    fail_render(fmt::format("unsupported format specification {}", quote(text)));
  }
  if (spec.align == '\0') spec.align = is_number ? '>' : '<';
  return spec;
}

// The argument that `field` names: a number, a name, or nothing for the next one.
const Value& argument_of(const Arguments& arguments, std::string_view field, size_t& next) {
  const bool is_index = std::all_of(field.begin(), field.end(), is_digit);
  if (is_index) {
    Reader digits(field);
    const auto index = field.empty() ? next++ : static_cast<size_t>(digits.take_integer(0));
    if (index >= arguments.positional.size()) fail_render("format: too few arguments");
    return arguments.positional[index];
  }
  const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                  [field](const NamedValue& argument) { return argument.name == field; });
  if (named == arguments.named.end()) fail_render(fmt::format("format: no argument {}", quote(field)));
  return named->value;
}

void append_brace_field(Runtime& runtime, MarkedTextBuilder& out, std::string_view field,
                        const Value& value) {
  const size_t colon = field.find(':');
  const std::string_view head = field.substr(0, colon);
  const size_t mark = head.find('!');
  const bool is_repr = mark != std::string_view::npos && head.substr(mark) == "!r";
  Specification spec =
      parse_brace_specification(colon == std::string_view::npos ? "" : field.substr(colon + 1), value);
  if (is_repr) spec.type = 'r';
  append_formatted(runtime, out, value, spec);
}

}  // namespace

MarkedText format_percent(Runtime& runtime, const MarkedText& format, std::span<const Value> values) {
  MarkedTextBuilder out(runtime.arena());
  Reader reader(format.text());
  size_t used = 0;
  const bool has_map = values.size() == 1 && values[0].is(Kind::kMap);
  while (!reader.at_end()) {
    runtime.charge(1);
    const size_t begin = reader.offset();
    while (!reader.at_end() && reader.peek() != '%') reader.skip();
    out.append(format.slice(begin, reader.offset()));
    if (reader.at_end()) break;
    const size_t percent = reader.offset();
    reader.skip();
    const Value* value = nullptr;
    if (has_map && reader.skip_if('(')) {
      const std::string_view name = reader.take_until(')');
      value = find_in_map(runtime, values[0], Value::string(runtime.arena(), MarkedText(name, kComputed)));
      if (value == nullptr) fail_render(fmt::format("format: no key {}", quote(name)));
    }
    const Specification spec = take_percent_specification(reader);
    if (spec.type == '%') {
      out.append(format.slice(percent, percent + 1));
      continue;
    }
    if (value == nullptr && used >= values.size()) fail_render("not enough arguments for format string");
    append_formatted(runtime, out, value != nullptr ? *value : values[used++], spec);
  }
  const bool may_be_unused = has_map || (values.size() == 1 && values[0].is(Kind::kUndefined));
  if (used < values.size() && !may_be_unused)
    fail_render("not all arguments converted during string formatting");
  return out.finish();
}

MarkedText format_braces(Runtime& runtime, const MarkedText& format, const Arguments& arguments) {
  MarkedTextBuilder out(runtime.arena());
  Reader reader(format.text());
  size_t next = 0;
  while (!reader.at_end()) {
    runtime.charge(1);
    const size_t begin = reader.offset();
    while (!reader.at_end() && reader.peek() != '{' && reader.peek() != '}') reader.skip();
    out.append(format.slice(begin, reader.offset()));
    if (reader.at_end()) break;
    const size_t brace = reader.offset();
    const char c = reader.take();
    if (reader.skip_if(c)) {
      out.append(format.slice(brace, brace + 1));
      continue;
    }
    if (c == '}') fail_render("Single '}' encountered in format string");
    const std::string_view field = reader.take_until('}');
    const std::string_view name = field.substr(0, std::min(field.find('!'), field.find(':')));
    append_brace_field(runtime, out, field, argument_of(arguments, name, next));
  }
  return out.finish();
}

}  // namespace beryl::text
