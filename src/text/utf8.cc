#include "text/utf8.h"

#include <cstring>

namespace beryl::text {
namespace {

constexpr bool is_continuation(uint8_t byte) {
  return (byte & 0xC0) == 0x80;
}

// Length of the run of ASCII at `offset`, in steps of eight bytes; the rest is left to the caller.
size_t skip_ascii_words(std::string_view text, size_t offset) {
  while (text.size() - offset >= sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + offset, sizeof word);
    if ((word & 0x8080808080808080ULL) != 0) break;
    offset += sizeof word;
  }
  return offset;
}

}  // namespace

std::optional<size_t> find_invalid_utf8(std::string_view text) {
  size_t offset = 0;
  while (true) {
    offset = skip_ascii_words(text, offset);
    if (offset == text.size()) return std::nullopt;
    const auto byte_at = [&](size_t index) { return static_cast<uint8_t>(text[offset + index]); };
    const Utf8Lead lead = classify_utf8_lead(byte_at(0));
    if (lead.byte_count == 0 || lead.byte_count > text.size() - offset) return offset;
    if (lead.byte_count > 1 && (byte_at(1) < lead.second_min || byte_at(1) > lead.second_max)) return offset;
    for (size_t index = 2; index < lead.byte_count; ++index) {
      if (!is_continuation(byte_at(index))) return offset;
    }
    offset += lead.byte_count;
  }
}

Utf8Character read_utf8(std::string_view text, size_t offset) {
  const auto bits = [&](size_t index, uint32_t mask) {
    return static_cast<uint32_t>(static_cast<uint8_t>(text[offset + index])) & mask;
  };
  const uint32_t first = bits(0, 0xFF);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | bits(1, 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | bits(1, 0x3F) << 6 | bits(2, 0x3F), 3};
  return {(first & 0x07) << 18 | bits(1, 0x3F) << 12 | bits(2, 0x3F) << 6 | bits(3, 0x3F), 4};
}

char32_t read_last_utf8(std::string_view text) {
  size_t offset = text.size() - 1;
  while (is_continuation(static_cast<uint8_t>(text[offset]))) --offset;
  return read_utf8(text, offset).value;
}

void append_utf8(std::string& out, char32_t value) {
  const auto add = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  const auto continuation = [&](int shift) { return 0x80U | ((value >> shift) & 0x3FU); };
  if (value < 0x80) {
    add(value);
  } else if (value < 0x800) {
    add(0xC0U | (value >> 6));
    add(continuation(0));
  } else if (value < 0x10000) {
    add(0xE0U | (value >> 12));
    add(continuation(6));
    add(continuation(0));
  } else {
    add(0xF0U | (value >> 18));
    add(continuation(12));
    add(continuation(6));
    add(continuation(0));
  }
}

}  // namespace beryl::text
