// formats: what the numbers in a checkpoint are.
//
// In:  ranges of files that hold element codes and their scales.
// Out: exact float32 values, and the codes and scales apart, for packing.
// Must never know: how a file spells its names, networks, backends, panels.
//
// Every format is one case of
//
//   value[n, k] = (code_value(code[n, k]) - zero[n, g]) * scale[n, g] + minimum[n, g]
//
// where g is the group of inputs that k belongs to, and where a scale may be the product (or quotient) of two
// published numbers. Read first: this header (where the numbers lie), then scheme.h (what a format's numbers
// are), then row_reader.h. Each format has one page of its own: plain.h, float_codes.h, integer.h,
// nf4.h, ggml_blocks.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "formats/dtype.h"

namespace beryl::formats {

// Elements of one type, contiguous in a file.
struct ElementRange {
  DType dtype = DType::kBf16;
  FileRange range;

  int64_t count() const {
    const DTypeBlock block = dtype_block(dtype);
    return static_cast<int64_t>(range.bytes) / block.bytes * block.elements;
  }
};

enum class Format : uint8_t {
  kBf16,     // plain.h
  kF16,      // plain.h
  kF32,      // plain.h
  kFp8E4m3,  // float_codes.h
  kMxFp8,    // float_codes.h
  kMxFp4,    // float_codes.h
  kNvFp4,    // float_codes.h
  kInt4,     // integer.h
  kInt8,     // integer.h
  kAffine4,  // integer.h
  kAffine5,  // integer.h
  kAffine6,  // integer.h
  kAffine8,  // integer.h
  kNf4,      // nf4.h
  kQ4_0,     // ggml_blocks.h
  kQ4_1,     // ggml_blocks.h
  kQ5_0,     // ggml_blocks.h
  kQ5_1,     // ggml_blocks.h
  kQ8_0,     // ggml_blocks.h
  kQ4K,      // ggml_blocks.h
  kQ5K,      // ggml_blocks.h
  kQ6K,      // ggml_blocks.h
};

std::string_view format_name(Format format);

// How the codes lie in their range.
enum class CodeOrder : uint8_t {
  kRows,           // row after row, each from a whole byte; codes narrower than a byte from its low bits up
  kRowsHighFirst,  // 4 bits: as one run over all rows, the first of two codes in the high half of a byte
  kInputWords,     // int32 [cols * bits / 32, rows]: a word holds successive inputs of one row (GPTQ)
  kOutputWords,    // int32 [cols, rows / 8]: a word holds 4-bit codes of eight rows, in AWQ's order
};

// How the numbers of a grid of tiles lie in their range; R and C count the tiles down and across.
enum class TileOrder : uint8_t {
  kRows,        // [R, C]
  kTransposed,  // [C, R]
  kFlat,        // one number for each run of tile_cols elements of the whole matrix, counted row by row
};

// One number for each tile of tile_rows x tile_cols elements; the last tiles may be cut short.
struct TileValues {
  ElementRange values;
  int64_t tile_rows = 1;
  int64_t tile_cols = 1;
  TileOrder order = TileOrder::kRows;
  int64_t first_row = 0;  // of the matrix, within the tensor that the grid covers
};

// Integer zero points, one for each row and group, packed into int32 words.
struct ZeroPoints {
  enum class Order : uint8_t {
    kDownRows,       // [rows * bits / 32 rounded up, groups]: a word holds successive rows
    kAlongOutputs,   // [groups, rows * bits / 32]: a word holds successive rows (GPTQ)
    kAwqInterleaved  // [groups, rows / 8]: a word holds eight rows in AWQ's order
  };
  ElementRange words;
  Order order = Order::kDownRows;
  int64_t group_size = 0;
  int64_t added = 0;      // what a reader must add to the stored number: 1 in GPTQ's first version
  int64_t first_row = 0;  // of the matrix, within the tensor
};

// Scales that are themselves quantised (bitsandbytes): scale = map[code] * block_scale[code's index / block]
// + offset.
struct NestedScales {
  ElementRange map;     // F32 [256]
  ElementRange scales;  // F32, one for each block of codes
  int64_t block = 256;
  float offset = 0;
};

// One weight matrix as published; rows are outputs. Borrowed from the checkpoint that owns the files. A
// matrix may be a part of a larger tensor (one expert, the gate half of gate_up). Which members are there is
// decided by the format; scheme_of() checks it.
struct QuantMatrix {
  int64_t rows = 0;  // outputs
  int64_t cols = 0;  // inputs, the K of a product
  Format format = Format::kBf16;
  ElementRange codes;
  CodeOrder code_order = CodeOrder::kRows;
  std::optional<TileValues> scales = {};
  std::optional<TileValues> minimums = {};  // of kAffine*, in the tiles of the scales
  std::optional<ZeroPoints> zeros = {};     // of kInt*
  // A second factor of all scales, one float32: of kNvFp4.
  std::optional<ElementRange> global_scale = {};
  bool global_scale_divides = false;
  // The group of each input, int32 [cols], where groups are not runs of successive inputs.
  std::optional<ElementRange> group_index = {};
  std::optional<NestedScales> nested_scales = {};  // of kNf4, when its scales are U8
  std::optional<ElementRange> nf4_table = {};      // of kNf4: F32 [16], which must be the one of nf4.h
  // Some producers choose the sign of a scale freely; elsewhere a negative one is a fault.
  bool may_have_negative_scales = false;

  // Whether there are no files behind the ranges, only their sizes: a backend then makes the numbers up, to
  // measure speed. The offset of the codes stands for their place in an imagined file.
  bool is_made_up() const { return codes.range.file == nullptr; }

  // Bytes in the files, scales and all. Tiles that two halves of a fused tensor share are counted in both.
  uint64_t published_bytes() const;
};

// Which elements share a scale: "none", "per tensor", "per row", "per group of 32", "per 128x128 block".
std::string scale_text(const QuantMatrix& matrix);

// The upper and lower half of a matrix of an even number of rows in row order, such as gate and up of
// gate_up.
std::pair<QuantMatrix, QuantMatrix> split_rows(const QuantMatrix& matrix);

}  // namespace beryl::formats
