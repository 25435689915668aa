// What strings can do, shared by filters and methods. All of it keeps the origin of every character.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/template/marked_text.h"
#include "text/template/runtime.h"
#include "text/template/value.h"

namespace beryl::text {

enum class Side : uint8_t { kBoth, kLeft, kRight };

// Without the characters of `characters` (white space when absent) at its ends.
MarkedText strip(const MarkedText& text, std::optional<std::string_view> characters, Side side);

MarkedText upper(Runtime& runtime, const MarkedText& text);
MarkedText lower(Runtime& runtime, const MarkedText& text);
// First character upper, the rest lower.
MarkedText capitalize(Runtime& runtime, const MarkedText& text);
// Every first letter of a word upper, the rest lower; a word starts behind every character that
// `ends_word(code)` names.
MarkedText title(Runtime& runtime, const MarkedText& text, bool (*ends_word)(uint32_t code));
// Python's str.title(): words are runs of letters.
bool is_not_letter(uint32_t code);

// The first `count` occurrences (all when negative) of `from` replaced.
MarkedText replace(Runtime& runtime, const MarkedText& text, std::string_view from, const MarkedText& to,
                   int64_t count);

MarkedText concatenate(Runtime& runtime, const MarkedText& left, const MarkedText& right);
MarkedText repeat(Runtime& runtime, const MarkedText& text, int64_t count);
MarkedText join(Runtime& runtime, std::span<const Value> items, const MarkedText& separator);

// Pieces between occurrences of `separator`, which is not empty; at most `splits_max` cuts (all when
// negative), from the left or from the right.
std::vector<MarkedText> split(Runtime& runtime, const MarkedText& text, std::string_view separator,
                              int64_t splits_max, Side from);
// Pieces between runs of white space.
std::vector<MarkedText> split_at_space(Runtime& runtime, const MarkedText& text, int64_t splits_max,
                                       Side from);
std::vector<MarkedText> split_lines(Runtime& runtime, const MarkedText& text, bool keeps_ends);

// Python's text[begin:end:step] over characters.
MarkedText slice(Runtime& runtime, const MarkedText& text, const Value& begin, const Value& end,
                 int64_t step);

// Python's rule for slices of `size` items: the first index and how many there are.
struct SliceRange {
  int64_t first = 0;
  int64_t count = 0;
};
SliceRange slice_range(const Value& begin, const Value& end, int64_t step, int64_t size);

Value make_strings(Runtime& runtime, const std::vector<MarkedText>& pieces);

}  // namespace beryl::text
