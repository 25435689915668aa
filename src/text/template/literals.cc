#include "text/template/literals.h"

#include <charconv>
#include <limits>
#include <system_error>

#include "text/template/unicode.h"

namespace beryl::text {
namespace {

constexpr std::string_view kSimpleEscapes = "abfnrtv\\'\"";
constexpr std::string_view kSimpleValues = "\a\b\f\n\r\t\v\\'\"";

std::optional<uint32_t> parse_code(std::string_view digits, int base) {
  uint32_t code = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return code;
}

// The escape behind a backslash at the start of `text`; returns how many bytes it has, or nothing.
std::optional<size_t> append_escape(std::string& out, std::string_view text) {
  const char c = text.front();
  if (c == '\n') return 1;
  if (const size_t simple = kSimpleEscapes.find(c); simple != std::string_view::npos) {
    out += kSimpleValues[simple];
    return 1;
  }
  if (c >= '0' && c <= '7') {
    size_t length = 1;
    while (length < 3 && length < text.size() && text[length] >= '0' && text[length] <= '7') ++length;
    append_utf8(out, *parse_code(text.substr(0, length), 8));
    return length;
  }
  if (c == 'N') return std::nullopt;
  const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits == 0) {
    out += '\\';
    out += c;
    return 1;
  }
  if (text.size() < 1 + digits) return std::nullopt;
  const auto code = parse_code(text.substr(1, digits), 16);
  if (!code || *code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000)) return std::nullopt;
  append_utf8(out, *code);
  return 1 + digits;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty()) {
    const Character first = character_at(text, 0);
    if (!is_white_space(first.code)) break;
    text.remove_prefix(first.byte_count);
  }
  while (!text.empty()) {
    const Character last = character_before(text, text.size());
    if (!is_white_space(last.code)) break;
    text.remove_suffix(last.byte_count);
  }
  return text;
}

// Without underscores; nothing where Python allows none.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits += text[i];
      continue;
    }
    const bool is_between = i > 0 && i + 1 < text.size() && text[i - 1] != '_' && text[i + 1] != '_';
    if (!is_between) return std::nullopt;
  }
  return digits;
}

int64_t base_of_prefix(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return 0;
  switch (text[1] | 0x20) {
    case 'x':
      return 16;
    case 'o':
      return 8;
    case 'b':
      return 2;
    default:
      return 0;
  }
}

double float_of_digits(const std::string& digits) {
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc::result_out_of_range) return value;
  // from_chars does not say which way; the exponent's sign does, as digits alone cannot leave the range
  // downwards.
  const size_t exponent = digits.find_first_of("eE");
  const bool is_tiny =
      exponent != std::string::npos ? digits.find('-', exponent) != std::string::npos : digits.find('.') < 2;
  const double magnitude = is_tiny ? 0.0 : std::numeric_limits<double>::infinity();
  return digits.front() == '-' ? -magnitude : magnitude;
}

}  // namespace

std::optional<std::string> parse_string_literal(std::string_view quoted) {
  const std::string_view text = quoted.substr(1, quoted.size() - 2);
  std::string result;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '\\') {
      result += text[i++];
      continue;
    }
    if (i + 1 >= text.size()) return std::nullopt;
    const auto length = append_escape(result, text.substr(i + 1));
    if (!length) return std::nullopt;
    i += 1 + *length;
  }
  return result;
}

std::optional<int64_t> parse_integer_literal(std::string_view text) {
  return parse_python_integer(text, base_of_prefix(text) == 0 ? 10 : 0);
}

double parse_float_literal(std::string_view text) {
  return parse_python_float(text).value_or(0.0);
}

std::optional<int64_t> parse_python_integer(std::string_view text, int64_t base) {
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  std::string_view rest = trimmed(text);
  const bool is_negative = rest.starts_with('-');
  if (is_negative || rest.starts_with('+')) rest.remove_prefix(1);
  const int64_t prefix_base = base_of_prefix(rest);
  bool has_prefix = false;
  if (prefix_base != 0 && (base == 0 || base == prefix_base)) {
    has_prefix = true;
    rest.remove_prefix(2);
    if (rest.starts_with('_')) rest.remove_prefix(1);
  }
  const int64_t used_base = has_prefix ? prefix_base : base == 0 ? 10 : base;
  const auto digits = without_underscores(rest);
  if (!digits || digits->empty() || digits->front() == '-' || digits->front() == '+') return std::nullopt;
  // With the sign, so that the smallest number is in range.
  const std::string signed_digits = (is_negative ? "-" : "") + *digits;
  int64_t value = 0;
  const char* const last = signed_digits.data() + signed_digits.size();
  const auto [end, error] = std::from_chars(signed_digits.data(), last, value, static_cast<int>(used_base));
  if (error != std::errc() || end != last) return std::nullopt;
  return value;
}

std::optional<double> parse_python_float(std::string_view text) {
  std::string_view rest = trimmed(text);
  if (rest.starts_with('+')) {
    rest.remove_prefix(1);
    if (rest.starts_with('-')) return std::nullopt;
  }
  const auto digits = without_underscores(rest);
  if (!digits || digits->empty()) return std::nullopt;
  double value = 0;
  const char* const last = digits->data() + digits->size();
  const auto [end, error] = std::from_chars(digits->data(), last, value);
  if (end != last || error == std::errc::invalid_argument) return std::nullopt;
  // from_chars also reads "nan(...)"; Python does not.
  if (digits->find('(') != std::string::npos) return std::nullopt;
  return float_of_digits(*digits);
}

}  // namespace beryl::text
