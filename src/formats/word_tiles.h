// Squares of codes turned over in words: four words at a time, without tables and branches.
//
// All here is in an unnamed namespace: files compiled for an instruction set have a copy of their own.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace beryl::formats {
namespace {

// GCC and clang vector types: SSE2 on x86-64, NEON on AArch64, plain code elsewhere.
using Words = uint32_t __attribute__((vector_size(16)));

// The same bits as bytes, and as two words.
using Bytes = uint8_t __attribute__((vector_size(16)));
using Longs = uint64_t __attribute__((vector_size(16)));

constexpr int64_t kTile = 4;
constexpr int64_t kTileBytes = 16;

template <typename Word>
Word load_word(const void* from) {
  Word word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

inline Words load_words(const void* from) {
  return load_word<Words>(from);
}

template <typename Word>
void store_words(void* to, Word word) {
  std::memcpy(to, &word, sizeof(word));
}

// Four rows of four words become four columns.
inline std::array<Words, 4> transpose_words(Words a, Words b, Words c, Words d) {
  const Words ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Words ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Words cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Words cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  return {__builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5),
          __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7),
          __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
          __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
}

// Bytes 0, 2, 4, ... of `a`, then those of `b`.
inline Words even_bytes(Words a, Words b) {
  return std::bit_cast<Words>(__builtin_shufflevector(std::bit_cast<Bytes>(a), std::bit_cast<Bytes>(b), 0, 2,
                                                      4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
}

// Halves the width of fields: of each pair of bytes that hold `bits` bits, one byte of twice as many.
inline Words join_bytes(Words a, Words b, int bits) {
  const uint32_t low = ((1U << bits) - 1) * 0x00010001U;
  const uint32_t high = low << bits;
  return even_bytes((a & low) | (a >> (8 - bits) & high), (b & low) | (b >> (8 - bits) & high));
}

// Moves the bits of `mask` `shift` up and those above them down.
template <typename Word>
Word swap_bits(Word word, int shift, uint32_t mask) {
  const Word difference = (word ^ word >> shift) & mask;
  return word ^ difference ^ difference << shift;
}

// Codes of `kBits` bits, low bits first, to the even ones and then the odd ones.
template <int kBits, typename Word>
Word unshuffle(Word word) {
  if constexpr (kBits <= 1) word = swap_bits(word, 1, 0x22222222U);
  if constexpr (kBits <= 2) word = swap_bits(word, 2, 0x0c0c0c0cU);
  if constexpr (kBits <= 4) word = swap_bits(word, 4, 0x00f000f0U);
  if constexpr (kBits <= 8) word = swap_bits(word, 8, 0x0000ff00U);
  return word;
}

// A square of 32 / kBits words of that many codes, of 4 or 8 bits: word k, code n becomes word n, code k.
// With Words, four squares side by side.
template <int kBits, typename Word>
void transpose_codes(std::array<Word, 32 / kBits>& words) {
  constexpr size_t kCount = 32 / kBits;
  const auto swap = [&](size_t distance, int shift, uint32_t mask) {
    for (size_t a = 0; a < kCount; ++a) {
      if ((a & distance) != 0) continue;
      Word& low = words[a];
      Word& high = words[a + distance];
      const Word difference = (low >> shift ^ high) & mask;
      high ^= difference;
      low ^= difference << shift;
    }
  };
  if constexpr (kBits == 4) swap(1, 4, 0x0f0f0f0fU);
  swap(kBits == 4 ? 2 : 1, 8, 0x00ff00ffU);
  swap(kBits == 4 ? 4 : 2, 16, 0x0000ffffU);
}

}  // namespace
}  // namespace beryl::formats
