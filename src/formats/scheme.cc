#include "formats/scheme.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"
#include "base/number_types.h"
#include "formats/float_codes.h"
#include "formats/nf4.h"

namespace beryl::formats {
namespace {

// 0, 1, 2, ... less an offset.
template <size_t N>
constexpr std::array<float, N> count_from(int first) {
  std::array<float, N> values{};
  for (size_t i = 0; i < N; ++i) values[i] = static_cast<float>(first + static_cast<int>(i));
  return values;
}

constexpr std::array<float, 256> kI8Values = [] {
  std::array<float, 256> values{};
  for (size_t i = 0; i < 256; ++i)
    values[i] = static_cast<float>(static_cast<int8_t>(static_cast<uint8_t>(i)));
  return values;
}();
constexpr auto kU8Values = count_from<256>(0);
constexpr auto kI4Values = count_from<16>(-8);
constexpr auto kU4Values = count_from<16>(0);
constexpr auto kI5Values = count_from<32>(-16);
constexpr auto kU5Values = count_from<32>(0);
constexpr auto kI6Values = count_from<64>(-32);
constexpr auto kU6Values = count_from<64>(0);

ScaleKind scale_kind(const TileValues& tiles) {
  switch (tiles.values.dtype) {
    case DType::kBf16:
      return ScaleKind::kBf16;
    case DType::kF16:
      return ScaleKind::kF16;
    case DType::kF8E4M3:
      return ScaleKind::kE4m3;
    default:
      return ScaleKind::kF32;
  }
}

// Scales of whole rows are factors of the second level, others of the first.
void add_scales(const QuantMatrix& matrix, Scheme& scheme) {
  const TileValues& tiles = *matrix.scales;
  if (tiles.tile_cols >= matrix.cols && !scheme.has_zeros && scheme.minimum == ScaleKind::kNone) {
    scheme.outer_group = matrix.cols;
    scheme.outer = ScaleKind::kF32;
  } else {
    scheme.group = std::min(tiles.tile_cols, matrix.cols);
    scheme.scale = scale_kind(tiles);
  }
}

Scheme microscaled(const QuantMatrix& matrix, CodeKind codes, ScaleKind scale) {
  return {.codes = codes, .group = std::min(matrix.scales->tile_cols, matrix.cols), .scale = scale};
}

Scheme integer(const QuantMatrix& matrix, CodeKind with_sign, CodeKind without) {
  Scheme scheme{.codes = matrix.zeros ? without : with_sign, .has_zeros = matrix.zeros.has_value()};
  add_scales(matrix, scheme);
  return scheme;
}

Scheme affine(const QuantMatrix& matrix, CodeKind codes) {
  Scheme scheme{.codes = codes, .minimum = scale_kind(*matrix.minimums)};
  add_scales(matrix, scheme);
  return scheme;
}

// A block of 64 elements may begin anywhere in a row: groups are the pieces that never straddle a border.
Scheme nf4(const QuantMatrix& matrix) {
  return {.codes = CodeKind::kNf4,
          .group = std::gcd(matrix.scales->tile_cols, matrix.cols),
          .scale = ScaleKind::kF32};
}

Scheme block32(CodeKind codes, bool has_minimum) {
  return {.codes = codes,
          .group = 32,
          .scale = ScaleKind::kF16,
          .minimum = has_minimum ? ScaleKind::kF16 : ScaleKind::kNone};
}

Scheme block256(CodeKind codes) {
  return {.codes = codes,
          .group = 32,
          .scale = ScaleKind::kU8,
          .minimum = ScaleKind::kU8,
          .outer_group = 256,
          .outer = ScaleKind::kF16,
          .has_outer_minimum = true};
}

}  // namespace

int code_bits(CodeKind kind) {
  switch (kind) {
    case CodeKind::kF32:
      return 32;
    case CodeKind::kBf16:
    case CodeKind::kF16:
      return 16;
    case CodeKind::kE4m3:
    case CodeKind::kI8:
    case CodeKind::kU8:
      return 8;
    case CodeKind::kE2m1:
    case CodeKind::kI4:
    case CodeKind::kU4:
    case CodeKind::kNf4:
      return 4;
    case CodeKind::kI5:
    case CodeKind::kU5:
      return 5;
    case CodeKind::kI6:
    case CodeKind::kU6:
      return 6;
  }
  return 0;
}

std::span<const float> code_values(CodeKind kind) {
  switch (kind) {
    case CodeKind::kBf16:
    case CodeKind::kF16:
    case CodeKind::kF32:
      return {};
    case CodeKind::kE4m3:
      return kE4m3Values;
    case CodeKind::kI8:
      return kI8Values;
    case CodeKind::kU8:
      return kU8Values;
    case CodeKind::kE2m1:
      return kE2m1Values;
    case CodeKind::kI4:
      return kI4Values;
    case CodeKind::kU4:
      return kU4Values;
    case CodeKind::kNf4:
      return kNf4Values;
    case CodeKind::kI5:
      return kI5Values;
    case CodeKind::kU5:
      return kU5Values;
    case CodeKind::kI6:
      return kI6Values;
    case CodeKind::kU6:
      return kU6Values;
  }
  return {};
}

int scale_bytes(ScaleKind kind) {
  switch (kind) {
    case ScaleKind::kNone:
      return 0;
    case ScaleKind::kF32:
      return 4;
    case ScaleKind::kBf16:
    case ScaleKind::kF16:
      return 2;
    case ScaleKind::kE4m3:
    case ScaleKind::kE8m0:
    case ScaleKind::kU8:
    case ScaleKind::kI8:
      return 1;
  }
  return 0;
}

namespace {

Scheme scheme_by_format(const QuantMatrix& matrix) {
  switch (matrix.format) {
    case Format::kBf16:
      return {.codes = CodeKind::kBf16};
    case Format::kF16:
      return {.codes = CodeKind::kF16};
    case Format::kF32:
      return {.codes = CodeKind::kF32};
    case Format::kFp8E4m3: {
      Scheme scheme{.codes = CodeKind::kE4m3};
      add_scales(matrix, scheme);
      return scheme;
    }
    case Format::kMxFp8:
      return microscaled(matrix, CodeKind::kE4m3, ScaleKind::kE8m0);
    case Format::kMxFp4:
      return microscaled(matrix, CodeKind::kE2m1, ScaleKind::kE8m0);
    case Format::kNvFp4: {
      Scheme scheme = microscaled(matrix, CodeKind::kE2m1, ScaleKind::kE4m3);
      scheme.outer_group = matrix.cols;
      scheme.outer = ScaleKind::kF32;
      return scheme;
    }
    case Format::kInt4:
      return integer(matrix, CodeKind::kI4, CodeKind::kU4);
    case Format::kInt8:
      return integer(matrix, CodeKind::kI8, CodeKind::kU8);
    case Format::kAffine4:
      return affine(matrix, CodeKind::kU4);
    case Format::kAffine5:
      return affine(matrix, CodeKind::kU5);
    case Format::kAffine6:
      return affine(matrix, CodeKind::kU6);
    case Format::kAffine8:
      return affine(matrix, CodeKind::kU8);
    case Format::kNf4:
      return nf4(matrix);
    case Format::kQ4_0:
      return block32(CodeKind::kI4, false);
    case Format::kQ4_1:
      return block32(CodeKind::kU4, true);
    case Format::kQ5_0:
      return block32(CodeKind::kI5, false);
    case Format::kQ5_1:
      return block32(CodeKind::kU5, true);
    case Format::kQ8_0:
      return block32(CodeKind::kI8, false);
    case Format::kQ4K:
      return block256(CodeKind::kU4);
    case Format::kQ5K:
      return block256(CodeKind::kU5);
    case Format::kQ6K:
      return {.codes = CodeKind::kI6,
              .group = 16,
              .scale = ScaleKind::kI8,
              .outer_group = 256,
              .outer = ScaleKind::kF16};
  }
  return {};
}

}  // namespace

Scheme scheme_of(const QuantMatrix& matrix) {
  const Scheme scheme = scheme_by_format(matrix);
  if (code_bits(scheme.codes) == 4 && scheme.group % 2 == 1 && scheme.group < matrix.cols) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("a scale for each {} inputs of 4 bits is not supported", scheme.group));
  }
  return scheme;
}

}  // namespace beryl::formats
