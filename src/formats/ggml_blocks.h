// The block formats of ggml (GGUF files): runs of 32 or 256 inputs of one row, with their scales beside their
// codes. u is an unsigned code, q a signed one; d and m are float16.
//
//   Q4_0  32: d, 16 bytes                     value = (u - 8) * d      byte j: inputs j (low half), j + 16
//   Q4_1  32: d, m, 16 bytes                  value = u * d + m
//   Q5_0  32: d, 4 bytes, 16 bytes            value = (u - 16) * d     bit j of the 4 bytes: bit 4 of input j
//   Q5_1  32: d, m, 4 bytes, 16 bytes         value = u * d + m
//   Q8_0  32: d, 32 bytes                     value = q * d
//   Q4_K 256: d, m, 12 bytes, 128 bytes       value = u * (d * s) - m * t     s, t: 6 bits for each 32 inputs
//   Q5_K 256: d, m, 12 bytes, 32, 128 bytes   value = u * (d * s) - m * t
//   Q6_K 256: 128, 64 bytes, 16 bytes, d      value = (u - 32) * (d * s)      s: int8 for each 16 inputs
//
// All products are exact in float32; the sum rounds once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "formats/code_moves.h"
#include "formats/quant_matrix.h"

namespace beryl::formats {

// Where the parts of successive blocks of a row go. What the format does not have is not written.
struct BlockParts {
  std::byte* codes;          // as RowParts::codes; the low halves when there are planes
  std::byte* planes;         // the high bits of 5- and 6-bit codes, or null for one byte a code
  float* scales;             // one a group
  std::byte* scale_bytes;    // the same as in the file, of formats where it is a byte; null for numbers
  float* minimums;           // one a group
  std::byte* minimum_bytes;  // as scale_bytes
  float* outer_scales;       // one a block
  float* outer_minimums;     // one a block, negated: minimums are added
};

bool is_block_format(Format format);

// Takes blocks apart; `blocks` holds exactly their bytes.
void split_blocks(const CodeMoves& moves, Format format, std::span<const std::byte> blocks,
                  const BlockParts& out);

}  // namespace beryl::formats
