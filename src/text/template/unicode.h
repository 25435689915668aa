// Characters as Python sees them, over UTF-8. Bytes that are not valid UTF-8 count as one character each and
// are passed on untouched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace beryl::text {

struct Character {
  uint32_t code = 0;  // for an invalid byte, kInvalidCode + the byte
  size_t byte_count = 1;
};

inline constexpr uint32_t kInvalidCode = 0x110000;

// The character that starts at `offset`, which must lie inside.
Character character_at(std::string_view text, size_t offset);

// The character that ends at `end`, which must be at least 1.
Character character_before(std::string_view text, size_t end);

size_t count_characters(std::string_view text);

// Byte offset of character `index`; the size when there are fewer.
size_t offset_of_character(std::string_view text, size_t index);

// str.isspace of one character.
bool is_white_space(uint32_t code);

// str.isprintable of one character.
bool is_printable(uint32_t code);

void append_utf8(std::string& out, uint32_t code);

// Appends str.upper or str.lower of one character. (Python's rule for a capital sigma at the end of a word is
// not applied: it becomes an ordinary small sigma.)
void append_upper(std::string& out, Character character, std::string_view bytes);
void append_lower(std::string& out, Character character, std::string_view bytes);

// All of `text`.
std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);

}  // namespace beryl::text
