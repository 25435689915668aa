// UTF-8 as Unicode defines it (no surrogates, no overlong forms, nothing above U+10FFFF).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace beryl::text {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

struct Utf8Character {
  char32_t value = 0;
  uint32_t byte_count = 0;
};

// What must follow a first byte. The second byte is narrowed after E0, ED, F0 and F4; later ones are always
// 80..BF.
struct Utf8Lead {
  uint8_t byte_count = 0;  // of the whole character; 0 when no character starts with this byte
  uint8_t second_min = 0x80;
  uint8_t second_max = 0xBF;
};

constexpr Utf8Lead classify_utf8_lead(uint8_t byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xC2) return {0};
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}

// Offset of the first byte that does not begin a whole valid character; nothing when all of `text` is valid.
std::optional<size_t> find_invalid_utf8(std::string_view text);

// The character that begins at `offset`. `text` is valid UTF-8 and a character begins there.
Utf8Character read_utf8(std::string_view text, size_t offset);

// The last character of `text`, which is valid UTF-8 and not empty.
char32_t read_last_utf8(std::string_view text);

// `value` is a Unicode scalar value.
void append_utf8(std::string& out, char32_t value);

}  // namespace beryl::text
