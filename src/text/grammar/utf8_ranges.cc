#include "text/grammar/utf8_ranges.h"

#include <algorithm>

namespace beryl::text::grammar {
namespace {

// The last characters of one, two, three and four bytes.
constexpr std::array<char32_t, 4> kLengthEnds{0x7F, 0x7FF, 0xFFFF, 0x10FFFF};

std::array<uint8_t, 4> encode(char32_t value, uint32_t length) {
  constexpr std::array<uint8_t, 5> kLeads{0, 0, 0xC0, 0xE0, 0xF0};
  std::array<uint8_t, 4> bytes{};
  for (uint32_t i = length; i-- > 1;) {
    bytes[i] = static_cast<uint8_t>(0x80 | (value & 0x3F));
    value >>= 6;
  }
  bytes[0] = static_cast<uint8_t>(kLeads[length] | value);
  return bytes;
}

// Of the characters from `first` on that have as many bytes and are not after `last`, the end of those that
// one sequence can stand for: all bytes after the first that differs must take all their values.
char32_t sequence_end(char32_t first, char32_t last, uint32_t length) {
  for (uint32_t free_bytes = length - 1; free_bytes > 0; --free_bytes) {
    const char32_t low_bits = (char32_t{1} << (6 * free_bytes)) - 1;
    if ((first & low_bits) != 0) continue;
    if ((first | low_bits) > last) continue;
    // The byte before the free ones may take several values, as long as those before it stay the same.
    const char32_t group = (last + 1) & ~low_bits;  // the end of the last whole group
    const char32_t next_bits = (char32_t{1} << (6 * (free_bytes + 1))) - 1;
    const char32_t same_prefix_end = free_bytes + 1 == length ? last + 1 : (first | next_bits) + 1;
    return std::min(group, same_prefix_end) - 1;
  }
  if (length == 1) return last;
  return std::min<char32_t>(last, first | 0x3F);
}

}  // namespace

std::vector<ByteSequence> utf8_sequences(const CharSet& set) {
  std::vector<ByteSequence> result;
  for (const CharRange& range : set.ranges()) {
    char32_t first = range.first;
    while (first <= range.last) {
      uint32_t length = 1;
      while (first > kLengthEnds[length - 1]) ++length;
      const char32_t last = sequence_end(first, std::min(range.last, kLengthEnds[length - 1]), length);
      const std::array<uint8_t, 4> low = encode(first, length);
      const std::array<uint8_t, 4> high = encode(last, length);
      ByteSequence sequence{.length = length};
      for (uint32_t i = 0; i < length; ++i) sequence.bytes[i] = {low[i], high[i]};
      result.push_back(sequence);
      first = last + 1;
    }
  }
  return result;
}

}  // namespace beryl::text::grammar
