#include "text/template/text_operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "text/template/unicode.h"
#include "text/template/value_order.h"
#include "text/template/value_text.h"

namespace beryl::text {
namespace {

bool is_in(uint32_t code, std::optional<std::string_view> characters) {
  if (!characters) return is_white_space(code);
  for (size_t offset = 0; offset < characters->size();) {
    const Character character = character_at(*characters, offset);
    if (character.code == code) return true;
    offset += character.byte_count;
  }
  return false;
}

// `convert(std::string& out, Character, std::string_view bytes)` for every character, origins kept.
template <typename Convert>
MarkedText convert_characters(Runtime& runtime, const MarkedText& text, Convert&& convert) {
  runtime.charge(text.size() / 16);
  MarkedTextBuilder out(runtime.arena());
  text.for_each_run([&](std::string_view piece, Origin origin) {
    std::string converted;
    converted.reserve(piece.size());
    for (size_t offset = 0; offset < piece.size();) {
      const Character character = character_at(piece, offset);
      convert(converted, character, piece.substr(offset, character.byte_count));
      offset += character.byte_count;
    }
    out.append(converted, origin);
  });
  return out.finish();
}

bool is_line_end(uint32_t code) {
  return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 || code == 0x2028 ||
         code == 0x2029;
}

int64_t clamped_index(const Value& index, int64_t fallback, int64_t low, int64_t high, int64_t size) {
  if (index.is(Kind::kUndefined) || index.is(Kind::kNone)) return fallback;
  if (!index.is_integral()) fail_render("slice indices must be integers or None");
  const int64_t from_start = index.integer() < 0 ? index.integer() + size : index.integer();
  return std::clamp(from_start, low, high);
}

}  // namespace

MarkedText strip(const MarkedText& text, std::optional<std::string_view> characters, Side side) {
  size_t begin = 0;
  size_t end = text.size();
  while (side != Side::kRight && begin < end) {
    const Character first = character_at(text.text(), begin);
    if (!is_in(first.code, characters)) break;
    begin += first.byte_count;
  }
  while (side != Side::kLeft && begin < end) {
    const Character last = character_before(text.text(), end);
    if (!is_in(last.code, characters)) break;
    end -= last.byte_count;
  }
  return text.slice(begin, std::max(begin, end));
}

MarkedText upper(Runtime& runtime, const MarkedText& text) {
  return convert_characters(runtime, text, append_upper);
}

MarkedText lower(Runtime& runtime, const MarkedText& text) {
  return convert_characters(runtime, text, append_lower);
}

MarkedText capitalize(Runtime& runtime, const MarkedText& text) {
  bool is_first = true;
  return convert_characters(
      runtime, text, [&](std::string& out, Character character, std::string_view bytes) {
        is_first ? append_upper(out, character, bytes) : append_lower(out, character, bytes);
        is_first = false;
      });
}

bool is_not_letter(uint32_t code) {
  if (code < 0x80) return (code | 0x20U) < 'a' || (code | 0x20U) > 'z';
  // A letter has another case, or none at all; the second kind never changes, so only the first matters here.
  std::string bytes;
  append_utf8(bytes, std::min<uint32_t>(code, 0x10FFFF));
  return to_upper(bytes) == bytes && to_lower(bytes) == bytes;
}

MarkedText title(Runtime& runtime, const MarkedText& text, bool (*ends_word)(uint32_t code)) {
  bool is_first = true;
  return convert_characters(
      runtime, text, [&](std::string& out, Character character, std::string_view bytes) {
        is_first ? append_upper(out, character, bytes) : append_lower(out, character, bytes);
        is_first = ends_word(character.code);
      });
}

MarkedText replace(Runtime& runtime, const MarkedText& text, std::string_view from, const MarkedText& to,
                   int64_t count) {
  charge_search(runtime, text.size(), from.size());
  MarkedTextBuilder out(runtime.arena());
  const std::string_view all = text.text();
  size_t begin = 0;
  for (size_t next = 0; count != 0; --count) {
    const size_t found = next > all.size() ? std::string_view::npos : all.find(from, next);
    if (found == std::string_view::npos) break;
    runtime.charge(1);
    out.append(text.slice(begin, found));
    out.append(to);
    begin = found + from.size();
    // An empty text is found before every character and at the end.
    next = !from.empty()        ? begin
           : found < all.size() ? found + character_at(all, found).byte_count
                                : found + 1;
  }
  out.append(text.slice(begin, text.size()));
  return out.finish();
}

MarkedText concatenate(Runtime& runtime, const MarkedText& left, const MarkedText& right) {
  if (left.empty()) return right;
  if (right.empty()) return left;
  MarkedTextBuilder out(runtime.arena());
  out.append(left);
  out.append(right);
  return out.finish();
}

MarkedText repeat(Runtime& runtime, const MarkedText& text, int64_t count) {
  MarkedTextBuilder out(runtime.arena());
  if (text.empty()) return {};
  for (int64_t i = 0; i < count; ++i) {
    runtime.charge(1);
    out.append(text);
  }
  return out.finish();
}

MarkedText join(Runtime& runtime, std::span<const Value> items, const MarkedText& separator) {
  runtime.charge(items.size());
  MarkedTextBuilder out(runtime.arena());
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(separator);
    append_text(runtime, out, items[i]);
  }
  return out.finish();
}

std::vector<MarkedText> split(Runtime& runtime, const MarkedText& text, std::string_view separator,
                              int64_t splits_max, Side from) {
  charge_search(runtime, text.size(), separator.size());
  const std::string_view all = text.text();
  std::vector<MarkedText> pieces;
  size_t begin = 0;
  size_t end = text.size();
  for (; splits_max != 0; --splits_max) {
    const size_t found = from == Side::kLeft      ? all.find(separator, begin)
                         : end < separator.size() ? std::string_view::npos
                                                  : all.rfind(separator, end - separator.size());
    if (found == std::string_view::npos) break;
    runtime.charge(1);
    runtime.arena().charge(sizeof(MarkedText));
    const size_t behind = found + separator.size();
    pieces.push_back(from == Side::kLeft ? text.slice(begin, found) : text.slice(behind, end));
    (from == Side::kLeft ? begin : end) = from == Side::kLeft ? behind : found;
  }
  pieces.push_back(text.slice(begin, end));
  if (from != Side::kLeft) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

std::vector<MarkedText> split_at_space(Runtime& runtime, const MarkedText& text, int64_t splits_max,
                                       Side from) {
  runtime.charge(text.size() / 16);
  const bool is_left = from == Side::kLeft;
  std::vector<MarkedText> pieces;
  MarkedText rest = strip(text, std::nullopt, from);
  while (!rest.empty()) {
    runtime.arena().charge(sizeof(MarkedText));
    size_t cut = is_left ? 0 : rest.size();
    while (splits_max != 0 && (is_left ? cut < rest.size() : cut > 0)) {
      const Character next = is_left ? character_at(rest.text(), cut) : character_before(rest.text(), cut);
      if (is_white_space(next.code)) break;
      cut = is_left ? cut + next.byte_count : cut - next.byte_count;
    }
    if (splits_max == 0) {
      pieces.push_back(rest);
      break;
    }
    pieces.push_back(is_left ? rest.slice(0, cut) : rest.slice(cut, rest.size()));
    rest = strip(is_left ? rest.slice(cut, rest.size()) : rest.slice(0, cut), std::nullopt, from);
    --splits_max;
  }
  if (!is_left) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

std::vector<MarkedText> split_lines(Runtime& runtime, const MarkedText& text, bool keeps_ends) {
  runtime.charge(text.size() / 16);
  std::vector<MarkedText> lines;
  size_t begin = 0;
  for (size_t offset = 0; offset < text.size();) {
    const Character character = character_at(text.text(), offset);
    const size_t line_end = offset;
    offset += character.byte_count;
    if (!is_line_end(character.code)) continue;
    if (character.code == '\r' && offset < text.size() && text.text()[offset] == '\n') ++offset;
    runtime.arena().charge(sizeof(MarkedText));
    lines.push_back(text.slice(begin, keeps_ends ? offset : line_end));
    begin = offset;
  }
  if (begin < text.size()) lines.push_back(text.slice(begin, text.size()));
  return lines;
}

SliceRange slice_range(const Value& begin, const Value& end, int64_t step, int64_t size) {
  if (step == 0) fail_render("slice step cannot be zero");
  const bool is_forward = step > 0;
  const int64_t low = is_forward ? 0 : -1;
  const int64_t high = is_forward ? size : size - 1;
  const int64_t first = clamped_index(begin, is_forward ? low : high, low, high, size);
  const int64_t last = clamped_index(end, is_forward ? high : low, low, high, size);
  const int64_t distance = is_forward ? last - first : first - last;
  if (distance <= 0) return {first, 0};
  // The absolute value of the smallest number does not fit.
  const int64_t stride = is_forward ? step : step == INT64_MIN ? INT64_MAX : -step;
  return {first, (distance - 1) / stride + 1};
}

MarkedText slice(Runtime& runtime, const MarkedText& text, const Value& begin, const Value& end,
                 int64_t step) {
  runtime.charge(text.size() / 16);
  const auto [first, count] =
      slice_range(begin, end, step, static_cast<int64_t>(count_characters(text.text())));
  if (count == 0) return {};
  if (step == 1) {
    const size_t from = offset_of_character(text.text(), static_cast<size_t>(first));
    const std::string_view rest = text.text().substr(from);
    return text.slice(from, from + offset_of_character(rest, static_cast<size_t>(count)));
  }
  const auto characters = items_of(runtime, Value::string(runtime.arena(), text));
  MarkedTextBuilder out(runtime.arena());
  for (int64_t i = 0; i < count; ++i) out.append(characters[static_cast<size_t>(first + i * step)].string());
  return out.finish();
}

Value make_strings(Runtime& runtime, const std::vector<MarkedText>& pieces) {
  std::vector<Value> values;
  values.reserve(pieces.size());
  for (const MarkedText& piece : pieces) values.push_back(Value::string(runtime.arena(), piece));
  return make_list_value(runtime.arena(), values);
}

}  // namespace beryl::text
