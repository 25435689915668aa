// Codes of 5 and 6 bits cut into their low halves and their high bits, which is what packed matrices hold.
//
// A row of `cols` such codes is cut in blocks of 64: first the low halves of all blocks, two a byte, the
// first in the low half; then the high bits of all blocks, from the low bits of a byte up. The last block is
// filled up with codes of no meaning.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "formats/word_tiles.h"

namespace beryl::formats {

inline constexpr int64_t kPlaneBlock = 64;
inline constexpr int64_t kNibbleBytes = kPlaneBlock / 2;  // of a block

constexpr int64_t plane_blocks(int64_t cols) {
  return (cols + kPlaneBlock - 1) / kPlaneBlock;
}

// Bytes of a row's low halves, after which its high bits come.
constexpr int64_t nibble_row_bytes(int64_t cols) {
  return plane_blocks(cols) * kNibbleBytes;
}

// Bytes of a row with `plane_bits` (1 or 2) high bits a code.
constexpr int64_t plane_row_bytes(int64_t cols, int64_t plane_bits) {
  return nibble_row_bytes(cols) + plane_blocks(cols) * kPlaneBlock / 8 * plane_bits;
}

// Cuts a block of codes, one a byte, into 32 bytes and 8 * kPlaneBits bytes.
template <int kPlaneBits>
void cut_block(const std::array<Words, 4>& codes, std::byte* nibbles, std::byte* plane) {
  store_words(nibbles, join_bytes(codes[0], codes[1], 4));
  store_words(nibbles + sizeof(Words), join_bytes(codes[2], codes[3], 4));
  // Bits 4 and up of all bytes, in bytes that hold more and more of them.
  const Words first = join_bytes(codes[0] >> 4, codes[1] >> 4, kPlaneBits);
  const Words second = join_bytes(codes[2] >> 4, codes[3] >> 4, kPlaneBits);
  Words all = join_bytes(first, second, 2 * kPlaneBits);
  if constexpr (kPlaneBits == 1) all = join_bytes(all, all, 4);
  std::memcpy(plane, &all, kPlaneBlock / 8 * kPlaneBits);
}

// Cuts a row. take(first) gives the codes of the block that begins with input `first`, one a byte.
template <int kPlaneBits, typename Take>
void cut_row(int64_t cols, std::byte* row, const Take& take) {
  std::byte* plane = row + nibble_row_bytes(cols);
  for (int64_t block = 0; block < plane_blocks(cols); ++block) {
    cut_block<kPlaneBits>(take(block * kPlaneBlock), row + block * kNibbleBytes,
                          plane + block * kPlaneBlock / 8 * kPlaneBits);
  }
}

}  // namespace beryl::formats
