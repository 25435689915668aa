#include "formats/quant_matrix.h"

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
  }
  return "?";
}

std::string_view scale_grid_name(ScaleGrid grid) {
  switch (grid) {
    case ScaleGrid::kNone:
      return "none";
    case ScaleGrid::kPerRow:
      return "per row";
    case ScaleGrid::kPerTensor:
      return "per tensor";
  }
  return "?";
}

namespace {

// Half of a range that holds one part for each row.
ElementRange half_of(const ElementRange& whole, bool is_second) {
  ElementRange half = whole;
  half.range.bytes /= 2;
  if (is_second) half.range.offset += half.range.bytes;
  return half;
}

}  // namespace

std::pair<QuantMatrix, QuantMatrix> split_rows(const QuantMatrix& matrix) {
  BERYL_CHECK(matrix.rows % 2 == 0);
  const auto half = [&](bool is_second) {
    QuantMatrix part = matrix;
    part.rows /= 2;
    part.codes = half_of(matrix.codes, is_second);
    if (matrix.scale_grid == ScaleGrid::kPerRow) part.scales = half_of(*matrix.scales, is_second);
    return part;
  };
  return {half(false), half(true)};
}

}  // namespace beryl::formats
