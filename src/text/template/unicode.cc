#include "text/template/unicode.h"

#include <algorithm>

#include "text/template/unicode_tables.h"

namespace beryl::text {
namespace {

constexpr bool is_continuation(uint32_t byte) {
  return (byte & 0xC0U) == 0x80U;
}

uint32_t byte_at(std::string_view text, size_t offset) {
  return offset < text.size() ? static_cast<unsigned char>(text[offset]) : 0;
}

// How many bytes a sequence with this first byte has; 0 when no sequence starts so.
size_t sequence_length(uint32_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

void append_converted(std::string& out, Character character, std::string_view bytes, const CaseTable& table) {
  const auto* const expansion = std::lower_bound(
      table.expansions.data(), table.expansions.data() + table.expansions.size(), character.code,
      [](const CaseExpansion& left, uint32_t code) { return left.code < code; });
  if (expansion != table.expansions.data() + table.expansions.size() && expansion->code == character.code) {
    out += expansion->text;
    return;
  }
  const auto* const range =
      std::lower_bound(table.ranges.data(), table.ranges.data() + table.ranges.size(), character.code,
                       [](const CaseRange& left, uint32_t code) { return left.last < code; });
  const bool is_inside = range != table.ranges.data() + table.ranges.size() &&
                         character.code >= range->first &&
                         (character.code - range->first) % range->stride == 0;
  if (is_inside) {
    append_utf8(out, static_cast<uint32_t>(static_cast<int32_t>(character.code) + range->delta));
  } else {
    out += bytes;
  }
}

}  // namespace

Character character_at(std::string_view text, size_t offset) {
  const uint32_t lead = byte_at(text, offset);
  const size_t length = sequence_length(lead);
  const Character invalid = {kInvalidCode + lead, 1};
  if (length == 0) return invalid;
  if (length == 1) return {lead, 1};
  uint32_t code = lead & (0x7FU >> length);
  for (size_t i = 1; i < length; ++i) {
    const uint32_t byte = byte_at(text, offset + i);
    if (!is_continuation(byte)) return invalid;
    code = (code << 6U) | (byte & 0x3FU);
  }
  const bool is_overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (is_overlong || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return invalid;
  return {code, length};
}

Character character_before(std::string_view text, size_t end) {
  for (size_t length = 2; length <= 4 && length <= end; ++length) {
    if (!is_continuation(byte_at(text, end - length + 1))) break;
    const Character character = character_at(text, end - length);
    if (character.byte_count == length) return character;
  }
  return character_at(text.substr(0, end), end - 1);
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (size_t offset = 0; offset < text.size(); offset += character_at(text, offset).byte_count) ++count;
  return count;
}

size_t offset_of_character(std::string_view text, size_t index) {
  size_t offset = 0;
  for (; index > 0 && offset < text.size(); --index) offset += character_at(text, offset).byte_count;
  return offset;
}

bool is_white_space(uint32_t code) {
  if (code <= 0x20) return code == 0x20 || (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x1F);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
         code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool is_printable(uint32_t code) {
  if (code < 0x7F) return code >= 0x20;
  const auto* const end = kUnprintableCodes.data() + kUnprintableCodes.size();
  const auto* const range =
      std::lower_bound(kUnprintableCodes.data(), end, code,
                       [](const CodeRange& left, uint32_t value) { return left.last < value; });
  return range == end || code < range->first;
}

void append_utf8(std::string& out, uint32_t code) {
  const auto put = [&out](uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0U | (code >> 6U));
    put(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    put(0xE0U | (code >> 12U));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  } else {
    put(0xF0U | (code >> 18U));
    put(0x80U | ((code >> 12U) & 0x3FU));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  }
}

void append_upper(std::string& out, Character character, std::string_view bytes) {
  if (character.code < 0x80) {
    const char c = static_cast<char>(character.code);
    out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  } else {
    append_converted(out, character, bytes, kUpperCase);
  }
}

void append_lower(std::string& out, Character character, std::string_view bytes) {
  if (character.code < 0x80) {
    const char c = static_cast<char>(character.code);
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  } else {
    append_converted(out, character, bytes, kLowerCase);
  }
}

std::string to_lower(std::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  for (size_t offset = 0; offset < text.size();) {
    const Character character = character_at(text, offset);
    append_lower(lower, character, text.substr(offset, character.byte_count));
    offset += character.byte_count;
  }
  return lower;
}

std::string to_upper(std::string_view text) {
  std::string upper;
  upper.reserve(text.size());
  for (size_t offset = 0; offset < text.size();) {
    const Character character = character_at(text, offset);
    append_upper(upper, character, text.substr(offset, character.byte_count));
    offset += character.byte_count;
  }
  return upper;
}

}  // namespace beryl::text
