#include "formats/decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file_for_tests.h"
#include "base/number_types.h"
#include "formats/plain.h"

namespace beryl::formats {
namespace {

using testing::HasSubstr;

// Bytes to put into a file; returns where each piece begins.
class Bytes {
 public:
  template <typename T>
  uint64_t add(const std::vector<T>& values) {
    const size_t begin = bytes_.size();
    bytes_.resize(begin + values.size() * sizeof(T));
    std::memcpy(bytes_.data() + begin, values.data(), values.size() * sizeof(T));
    return begin;
  }
  const std::vector<std::byte>& all() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

// 5 x 3 e4m3 codes and float32 scales of tiles in one file, each at an odd offset.
class Fp8Matrix {
 public:
  Fp8Matrix(int64_t tile_rows, int64_t tile_cols, std::vector<float> scales) {
    for (uint8_t i = 0; i < 15; ++i) codes.push_back(static_cast<uint8_t>(0x30 + 9 * i));
    codes[4] = 0x80;  // minus zero
    Bytes bytes;
    bytes.add<uint8_t>({0});
    const uint64_t codes_at = bytes.add(codes);
    bytes.add<uint8_t>({0});
    const uint64_t scales_at = bytes.add(scales);
    file_ = std::make_unique<File>(make_file_for_tests(bytes.all()));
    matrix = {.rows = 5,
              .cols = 3,
              .format = Format::kFp8E4m3,
              .codes = {DType::kF8E4M3, {file_.get(), codes_at, codes.size()}},
              .scales = TileValues{.values = {DType::kF32, {file_.get(), scales_at, scales.size() * 4}},
                                   .tile_rows = tile_rows,
                                   .tile_cols = tile_cols}};
  }

  float code(int64_t row, int64_t col) const {
    return e4m3_to_float(codes[static_cast<size_t>(row * 3 + col)]);
  }

  std::vector<uint8_t> codes;
  QuantMatrix matrix;

 private:
  std::unique_ptr<File> file_;
};

TEST(DecoderTest, PlainTypesAtUnalignedOffsets) {
  const std::vector<float> values = {1.0F, -2.5F, 0.0F, -0.0F, 3.0e-39F, 65504.0F};
  const std::vector<uint16_t> f16 = {0x3c00, 0xc100, 0x0000, 0x8000, 0x0001, 0x7bff};
  std::vector<uint16_t> bf16(values.size());
  std::transform(values.begin(), values.end(), bf16.begin(), float_to_bf16);
  Bytes bytes;
  bytes.add<uint8_t>({0});
  const uint64_t f32_at = bytes.add(values);
  const uint64_t f16_at = bytes.add(f16);
  const uint64_t bf16_at = bytes.add(bf16);
  const File file = make_file_for_tests(bytes.all());

  EXPECT_EQ(read_floats({DType::kF32, {&file, f32_at, 24}}), values);
  EXPECT_EQ(read_floats({DType::kF16, {&file, f16_at, 12}}),
            (std::vector<float>{1.0F, -2.5F, 0.0F, -0.0F, 0x1p-24F, 65504.0F}));
  std::vector<float> rounded(values.size());
  std::transform(values.begin(), values.end(), rounded.begin(), round_to_bf16);
  EXPECT_EQ(read_floats({DType::kBf16, {&file, bf16_at, 12}}), rounded);
  EXPECT_TRUE(std::signbit(read_floats({DType::kBf16, {&file, bf16_at, 12}})[3]));
}

TEST(DecoderTest, OnlyThreeTypesArePlain) {
  for (int i = 0; i <= static_cast<int>(DType::kC64); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(is_plain(dtype), dtype == DType::kBf16 || dtype == DType::kF16 || dtype == DType::kF32);
    EXPECT_GT(dtype_bits(dtype), 0);
    EXPECT_EQ(dtype_block(dtype).bytes * 8, dtype_block(dtype).elements * dtype_bits(dtype));
    EXPECT_NE(dtype_name(dtype), "?");
  }
}

TEST(DecoderTest, RowScales) {
  const std::vector<float> scales = {1.0F, 0.5F, 0.0F, 3.0F, 1e-3F};
  const Fp8Matrix made(1, 3, scales);
  RowDecoder decoder(made.matrix);
  for (int64_t first = 0; first < 5; ++first) {
    for (int64_t count = 0; first + count <= 5; ++count) {
      std::vector<float> out(static_cast<size_t>(count * 3), -1.0F);
      decoder.decode(first, out);
      for (int64_t i = 0; i < count * 3; ++i) {
        const int64_t row = first + i / 3;
        EXPECT_EQ(out[static_cast<size_t>(i)], made.code(row, i % 3) * scales[static_cast<size_t>(row)]);
      }
    }
  }
}

TEST(DecoderTest, OneScaleForTheTensor) {
  const Fp8Matrix made(5, 3, {0.75F});
  std::vector<float> out(3);
  RowDecoder(made.matrix).decode(4, out);
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], made.code(4, i) * 0.75F);
}

// Blocks of 2 x 2, of which the grid covers three rows before this matrix, so that it begins within a block.
TEST(DecoderTest, BlocksThatBeginBeforeTheMatrix) {
  const std::vector<float> grid = {100, 101, 1, 2, 3, 4, 5, 6};  // [4, 2], of 8 rows
  Fp8Matrix made(2, 2, grid);
  made.matrix.scales->first_row = 3;
  std::vector<float> out(15);
  RowDecoder(made.matrix).decode(0, out);
  for (int64_t row = 0; row < 5; ++row) {
    for (int64_t k = 0; k < 3; ++k) {
      const float scale = grid[static_cast<size_t>((row + 3) / 2 * 2 + k / 2)];
      EXPECT_EQ(out[static_cast<size_t>(row * 3 + k)], made.code(row, k) * scale) << row << ',' << k;
    }
  }
}

TEST(DecoderTest, UnquantisedRows) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  Bytes bytes;
  bytes.add(values);
  const File file = make_file_for_tests(bytes.all());
  const QuantMatrix matrix = {
      .rows = 3, .cols = 2, .format = Format::kF32, .codes = {DType::kF32, {&file, 0, 24}}};
  std::vector<float> out(4);
  RowDecoder(matrix).decode(1, out);
  EXPECT_EQ(out, (std::vector<float>{3, 4, 5, 6}));
}

TEST(DecoderTest, BadScalesAreRefusedWithTheirRow) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(),
                          -0.5F, -std::numeric_limits<float>::infinity()}) {
    const Fp8Matrix made(1, 3, {1.0F, 1.0F, 1.0F, bad, bad});
    try {
      RowDecoder decoder(made.matrix);
      std::vector<float> out(9);
      decoder.decode(2, out);
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      EXPECT_THAT(error.message(), HasSubstr("scale of row 3 is "));
    }
  }
}

TEST(DecoderTest, AFileThatEndsEarlyIsAnError) {
  Fp8Matrix made(5, 3, {0.75F});
  made.matrix.codes.range.offset += 1000;
  RowDecoder decoder(made.matrix);
  std::vector<float> out(3);
  EXPECT_THROW(decoder.decode(0, out), Error);
}

TEST(QuantMatrixTest, SplitRowsHalvesCodesAndRowScales) {
  const FileRange codes = {nullptr, 100, 24};
  QuantMatrix whole = {.rows = 8,
                       .cols = 3,
                       .format = Format::kFp8E4m3,
                       .codes = {DType::kF8E4M3, codes},
                       .scales = TileValues{.values = {DType::kBf16, {nullptr, 200, 16}}, .tile_cols = 3}};
  const auto [gate, up] = split_rows(whole);
  EXPECT_EQ(gate.rows, 4);
  EXPECT_EQ(up.rows, 4);
  EXPECT_EQ(up.cols, 3);
  EXPECT_EQ(gate.codes.range.offset, 100U);
  EXPECT_EQ(up.codes.range.offset, 112U);
  EXPECT_EQ(up.codes.range.bytes, 12U);
  EXPECT_EQ(gate.scales->values.range.offset, 200U);
  EXPECT_EQ(up.scales->values.range.offset, 208U);
  EXPECT_EQ(up.scales->values.count(), 4);
  EXPECT_EQ(gate.published_bytes() + up.published_bytes(), whole.published_bytes());

  whole.scales = TileValues{.values = {DType::kF32, {nullptr, 200, 4}}, .tile_rows = 8, .tile_cols = 3};
  const TileValues shared = *split_rows(whole).second.scales;
  EXPECT_EQ(shared.values.range.offset, 200U);
  EXPECT_EQ(shared.values.range.bytes, 4U);
  EXPECT_EQ(shared.first_row, 4);
}

TEST(QuantMatrixTest, NamesForMessages) {
  EXPECT_EQ(format_name(Format::kFp8E4m3), "fp8-e4m3");
  EXPECT_EQ(format_name(Format::kBf16), "bf16");
  QuantMatrix matrix = {.rows = 8, .cols = 64, .format = Format::kFp8E4m3};
  const auto text = [&](int64_t tile_rows, int64_t tile_cols) {
    matrix.scales = TileValues{.values = {}, .tile_rows = tile_rows, .tile_cols = tile_cols};
    return scale_text(matrix);
  };
  EXPECT_EQ(scale_text(matrix), "none");
  EXPECT_EQ(text(1, 64), "per row");
  EXPECT_EQ(text(8, 64), "per tensor");
  EXPECT_EQ(text(1, 16), "per group of 16");
  EXPECT_EQ(text(4, 32), "per 4x32 block");
}

}  // namespace
}  // namespace beryl::formats
