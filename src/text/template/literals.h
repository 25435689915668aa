// Literals as Python writes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace beryl::text {

// The contents of a quoted string with Python's escapes resolved. Nothing when an escape is incomplete, or
// names a character by \N{...}.
std::optional<std::string> parse_string_literal(std::string_view quoted);

// 12, 1_000, 0x1F, 0o17, 0b11. Nothing when it does not fit.
std::optional<int64_t> parse_integer_literal(std::string_view text);

// 1.5, 1e3, 1_0.5. Too large gives infinity, as in Python.
double parse_float_literal(std::string_view text);

// Python's int(text) for text in `base` (2 to 36, or 0: by prefix), white space around it allowed.
std::optional<int64_t> parse_python_integer(std::string_view text, int64_t base);

// Python's float(text): also inf, nan and white space around it.
std::optional<double> parse_python_float(std::string_view text);

}  // namespace beryl::text
