// Characters as the bytes of their UTF-8.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "text/grammar/char_set.h"

namespace beryl::text::grammar {

struct ByteRange {
  uint8_t first = 0;
  uint8_t last = 0;  // inclusive

  bool operator==(const ByteRange&) const = default;
};

// Stands for all characters whose i-th byte lies in the i-th range.
struct ByteSequence {
  std::array<ByteRange, 4> bytes{};
  uint32_t length = 0;

  std::span<const ByteRange> ranges() const { return std::span(bytes).first(length); }
};

// Sequences that together stand for exactly the characters of `set`, each once, in ascending order.
std::vector<ByteSequence> utf8_sequences(const CharSet& set);

}  // namespace beryl::text::grammar
