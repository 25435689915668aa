// The inner loops of loading: they move codes from the orders of files to those of packed matrices, in
// registers of one instruction set. All sets write the same bytes.
//
// A line is 64 bytes: a word of 32 bits of each of 16 rows. A plane is as in planes.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace beryl::formats {

inline constexpr int64_t kLineRows = 16;

// The bits that are all set exactly in codes that are infinite or NaN, in every code of a word.
struct NonFinite {
  uint32_t mask = 0;
  // Added to the masked code, carries into the code's sign bit if and only if all bits of the mask are set.
  uint32_t carry = 0;
  uint32_t sign = 0;
};

// Writes the first `tile_words` words of 16 rows, each word unshuffled (word_tiles.h), to that many lines.
// Returns the sign bits of non-finite codes, in any word, and other bits beside them.
using MoveTile = uint32_t (*)(const std::byte* rows, int64_t row_bytes, const NonFinite& bad,
                              std::byte* const* lines);

// Writes `count` words of 16 rows that stand in columns, each word unshuffled, to that many lines. A column
// holds a word of each row; the next one begins `column_bytes` behind it.
using MoveColumns = void (*)(const std::byte* columns, int64_t column_bytes, int64_t count,
                             std::byte* const* lines);

// Columns of words of all codes of `rows` rows (at least kRowsTurned).
struct Columns {
  std::byte* first;
  int64_t column_bytes;
  int64_t count;
  int64_t rows;
};

inline constexpr int64_t kRowsTurned = 32;

// Puts the codes of `from` into another order: code i becomes the one that was order[i]. `scratch` has 64
// bytes for each code of a row.
using ReorderColumns = void (*)(const Columns& from, const int32_t* order, std::byte* scratch, std::byte* to);

// Takes codes of `count` blocks to the planes' order; `blocks` are as their maker wrote them.
using CutBlocks = void (*)(const std::byte* blocks, int64_t count, std::byte* nibbles, std::byte* planes);

struct CodeMoves {
  int64_t tile_words;
  // By bits of a code; codes of 16 and 32 bits are moved as they are.
  MoveTile move_1;
  MoveTile move_2;
  MoveTile move_4;
  MoveTile move_8;
  MoveTile move_16;
  MoveTile move_32;

  MoveColumns move_columns_4;
  MoveColumns move_columns_8;
  ReorderColumns reorder_4;
  ReorderColumns reorder_8;
  // Words of eight rows in AWQ's order, `words` of them for each input one after the other, to columns.
  void (*turn_outputs)(const uint32_t* words, const Columns& to);

  // Blocks of 64 codes that follow each other as a run of bits. They may read up to 16 bytes behind the last.
  CutBlocks cut_5;
  CutBlocks cut_6;
  // Blocks of 256 inputs of ggml_blocks.h, from their first byte.
  CutBlocks cut_q5_k;
  CutBlocks cut_q6_k;
  // Blocks of 32 and 256 inputs that hold 4 bits of each, `block_bytes` from one to the next; `blocks` points
  // to these bits in the first. A run of 64 bytes of the larger ones holds 2 x 32 inputs.
  void (*split_16)(const std::byte* blocks, int64_t block_bytes, int64_t count, std::byte* nibbles);
  void (*split_128)(const std::byte* blocks, int64_t block_bytes, int64_t count, std::byte* nibbles);
};

const CodeMoves& portable_moves();
#if defined(__x86_64__)
const CodeMoves& avx2_moves();
const CodeMoves& avx512_moves();
#endif

}  // namespace beryl::formats
