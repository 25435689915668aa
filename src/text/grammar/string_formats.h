// The formats of strings that JSON schemas name.
#pragma once

#include <optional>
#include <string_view>

namespace beryl::text::grammar {

// A regular expression of texts that have this format: not of all of them, but nothing else. Absent when the
// format is not supported.
std::optional<std::string_view> find_format_pattern(std::string_view format);

// Formats that say what a text is for, not what it looks like.
bool is_format_without_form(std::string_view format);

}  // namespace beryl::text::grammar
