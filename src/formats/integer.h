// Formats whose codes are integers.
//
//   int4, int8   value = (code - zero) * scale      code and zero unsigned, or signed without zero point
//   affine       value = code * scale + minimum     (MLX) code unsigned, of 4, 5, 6 or 8 bits
//
// for each row and group of inputs. Signed codes of packed words are stored with half their range added. What
// differs between producers is how codes and zero points fill words of 32 bits; see CodeOrder and ZeroPoints.
// Each product is exact in float32 where the scales are bf16 or f16; `code * scale + minimum` rounds once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace beryl::formats {

// Where AWQ puts the eight columns of a word: column c is in bits 4 * kAwqNibble[c] and up.
inline constexpr int kAwqNibble[8] = {0, 4, 1, 5, 2, 6, 3, 7};

// Code `index` of successive codes of `bits` (at most 8) that fill bytes from the low bits up.
constexpr uint32_t bit_field(std::span<const std::byte> bytes, int64_t index, int bits) {
  const auto first_bit = static_cast<uint64_t>(index) * static_cast<uint64_t>(bits);
  const auto byte = static_cast<size_t>(first_bit / 8);
  uint32_t pair = static_cast<uint32_t>(bytes[byte]);
  if (byte + 1 < bytes.size()) pair |= static_cast<uint32_t>(bytes[byte + 1]) << 8;
  return (pair >> (first_bit % 8)) & ((1U << bits) - 1);
}

}  // namespace beryl::formats
