#include "formats/quant_matrix.h"

#include <fmt/format.h>

#include "base/check.h"

namespace beryl::formats {

std::string_view format_name(Format format) {
  switch (format) {
    case Format::kBf16:
      return "bf16";
    case Format::kF16:
      return "f16";
    case Format::kF32:
      return "f32";
    case Format::kFp8E4m3:
      return "fp8-e4m3";
    case Format::kMxFp8:
      return "mxfp8";
    case Format::kMxFp4:
      return "mxfp4";
    case Format::kNvFp4:
      return "nvfp4";
    case Format::kInt4:
      return "int4";
    case Format::kInt8:
      return "int8";
    case Format::kAffine4:
      return "affine4";
    case Format::kAffine5:
      return "affine5";
    case Format::kAffine6:
      return "affine6";
    case Format::kAffine8:
      return "affine8";
    case Format::kNf4:
      return "nf4";
    case Format::kQ4_0:
      return "q4_0";
    case Format::kQ4_1:
      return "q4_1";
    case Format::kQ5_0:
      return "q5_0";
    case Format::kQ5_1:
      return "q5_1";
    case Format::kQ8_0:
      return "q8_0";
    case Format::kQ4K:
      return "q4_k";
    case Format::kQ5K:
      return "q5_k";
    case Format::kQ6K:
      return "q6_k";
  }
  return "?";
}

std::string scale_text(const QuantMatrix& matrix) {
  const DTypeBlock block = dtype_block(matrix.codes.dtype);
  if (!matrix.scales && dtype_bits(matrix.codes.dtype) == 0) {
    return fmt::format("in blocks of {}", block.elements);
  }
  if (!matrix.scales) return "none";
  const TileValues& tiles = *matrix.scales;
  if (tiles.order == TileOrder::kFlat) return fmt::format("per run of {}", tiles.tile_cols);
  if (tiles.tile_cols >= matrix.cols && tiles.tile_rows >= matrix.rows) return "per tensor";
  if (tiles.tile_cols >= matrix.cols && tiles.tile_rows == 1) return "per row";
  if (tiles.tile_rows == 1) return fmt::format("per group of {}", tiles.tile_cols);
  return fmt::format("per {}x{} block", tiles.tile_rows, tiles.tile_cols);
}

uint64_t QuantMatrix::published_bytes() const {
  uint64_t bytes = codes.range.bytes;
  if (scales) bytes += scales->values.range.bytes;
  if (minimums) bytes += minimums->values.range.bytes;
  if (zeros) bytes += zeros->words.range.bytes;
  if (global_scale) bytes += global_scale->range.bytes;
  if (group_index) bytes += group_index->range.bytes;
  if (nested_scales) bytes += nested_scales->map.range.bytes + nested_scales->scales.range.bytes;
  return bytes;
}

namespace {

// Half of a range that holds one part for each row.
ElementRange half_of(const ElementRange& whole, bool is_second) {
  ElementRange half = whole;
  half.range.bytes /= 2;
  if (is_second) half.range.offset += half.range.bytes;
  return half;
}

// A grid that has a row of numbers for each row is cut; another one is shared, from a later row on.
void take_half(TileValues& tiles, int64_t half_rows, bool is_second) {
  if (tiles.tile_rows == 1) {
    tiles.values = half_of(tiles.values, is_second);
  } else if (is_second) {
    tiles.first_row += half_rows;
  }
}

}  // namespace

std::pair<QuantMatrix, QuantMatrix> split_rows(const QuantMatrix& matrix) {
  BERYL_CHECK(matrix.rows % 2 == 0 && matrix.code_order == CodeOrder::kRows);
  const auto half = [&](bool is_second) {
    QuantMatrix part = matrix;
    part.rows /= 2;
    part.codes = half_of(matrix.codes, is_second);
    if (part.scales) take_half(*part.scales, part.rows, is_second);
    if (part.minimums) take_half(*part.minimums, part.rows, is_second);
    if (part.zeros && is_second) part.zeros->first_row += part.rows;
    return part;
  };
  return {half(false), half(true)};
}

}  // namespace beryl::formats
