// The orders in which files lay out codes, scales and zero points, each against the same numbers by hand.

#include "formats/row_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file_for_tests.h"
#include "base/number_types.h"
#include "formats/decoder.h"
#include "formats/float_codes.h"
#include "formats/integer.h"
#include "formats/nf4.h"

namespace beryl::formats {
namespace {

using testing::HasSubstr;

// Ranges of one file, written when all are known.
class Pieces {
 public:
  template <typename T>
  ElementRange add(DType dtype, const std::vector<T>& values) {
    const FileRange range = {nullptr, bytes_.size(), values.size() * sizeof(T)};
    const auto raw = std::as_bytes(std::span(values));
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
    return {.dtype = dtype, .range = range};
  }
  void write(QuantMatrix& matrix) {
    file_ = std::make_unique<File>(make_file_for_tests(bytes_));
    matrix.codes.range.file = file_.get();
    if (matrix.scales) matrix.scales->values.range.file = file_.get();
    if (matrix.minimums) matrix.minimums->values.range.file = file_.get();
    if (matrix.zeros) matrix.zeros->words.range.file = file_.get();
    if (matrix.global_scale) matrix.global_scale->range.file = file_.get();
    if (matrix.group_index) matrix.group_index->range.file = file_.get();
  }

 private:
  std::vector<std::byte> bytes_;
  std::unique_ptr<File> file_;
};

std::vector<float> decode_all(const QuantMatrix& matrix) {
  std::vector<float> all(static_cast<size_t>(matrix.rows * matrix.cols));
  RowDecoder(matrix).decode(0, all);
  // Row by row and in pairs it is the same.
  for (const int64_t step : {1, 2}) {
    RowDecoder decoder(matrix);
    std::vector<float> part(static_cast<size_t>(step * matrix.cols));
    for (int64_t row = 0; row + step <= matrix.rows; ++row) {
      decoder.decode(row, part);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + row * matrix.cols)) << "row " << row;
    }
  }
  return all;
}

// Whether it is decoded or packed.
void expect_refused(const QuantMatrix& matrix, std::string_view part) {
  for (const bool is_packed : {false, true}) {
    try {
      if (is_packed) {
        RowReader reader(matrix);
        RowParts parts;
        reader.read(0, matrix.rows, parts, reader.packing_shape(0, matrix.rows));
      } else {
        decode_all(matrix);
      }
      ADD_FAILURE() << part << " is accepted";
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr(part));
    }
  }
}

constexpr int64_t kRows = 16;
constexpr int64_t kCols = 16;
constexpr int64_t kGroup = 8;

// 16 x 16 integers of 4 bits with an f16 scale and a zero point for each 8 inputs.
struct Integers {
  Integers() {
    std::mt19937 random(11);
    for (uint32_t& code : codes) code = random() % 16;
    for (uint32_t& zero : zeros) zero = 1 + random() % 15;
    for (uint16_t& scale : scales) scale = static_cast<uint16_t>(0x2c00 + random() % 0x400);
  }

  uint32_t code(int64_t n, int64_t k) const { return codes[static_cast<size_t>(n * kCols + k)]; }
  uint32_t zero(int64_t n, int64_t g) const { return zeros[static_cast<size_t>(n * 2 + g)]; }
  uint16_t scale(int64_t n, int64_t g) const { return scales[static_cast<size_t>(n * 2 + g)]; }
  std::vector<float> values(const std::vector<int32_t>& group_of = {}) const {
    std::vector<float> result;
    for (int64_t n = 0; n < kRows; ++n) {
      for (int64_t k = 0; k < kCols; ++k) {
        const int64_t g = group_of.empty() ? k / kGroup : group_of[static_cast<size_t>(k)];
        const int difference = static_cast<int>(code(n, k)) - static_cast<int>(zero(n, g));
        result.push_back(static_cast<float>(difference) * f16_to_float(scale(n, g)));
      }
    }
    return result;
  }

  std::vector<uint32_t> codes = std::vector<uint32_t>(kRows * kCols);
  std::vector<uint32_t> zeros = std::vector<uint32_t>(kRows * 2);
  std::vector<uint16_t> scales = std::vector<uint16_t>(kRows * 2);
};

QuantMatrix integer_matrix() {
  return {.rows = kRows, .cols = kCols, .format = Format::kInt4};
}

TEST(RowReaderTest, WordsOfRowsAndZeroPointsDownTheRows) {
  const Integers made;
  std::vector<uint32_t> words(kRows * 2);
  std::vector<uint32_t> zero_words(2 * 2);
  for (int64_t n = 0; n < kRows; ++n) {
    for (int64_t k = 0; k < kCols; ++k) {
      words[static_cast<size_t>(n * 2 + k / 8)] |= made.code(n, k) << (k % 8 * 4);
    }
    for (int64_t g = 0; g < 2; ++g) {
      zero_words[static_cast<size_t>(n / 8 * 2 + g)] |= made.zero(n, g) << (n % 8 * 4);
    }
  }
  Pieces pieces;
  QuantMatrix matrix = integer_matrix();
  matrix.codes = pieces.add(DType::kI32, words);
  matrix.scales = TileValues{.values = pieces.add(DType::kF16, made.scales), .tile_cols = kGroup};
  matrix.zeros = ZeroPoints{.words = pieces.add(DType::kI32, zero_words), .group_size = kGroup};
  pieces.write(matrix);
  EXPECT_EQ(decode_all(matrix), made.values());
  // Halves of a fused tensor share the zero points' words.
  const auto [upper, lower] = split_rows(matrix);
  const std::vector<float> all = made.values();
  EXPECT_EQ(decode_all(upper), std::vector<float>(all.begin(), all.begin() + kRows / 2 * kCols));
  EXPECT_EQ(decode_all(lower), std::vector<float>(all.begin() + kRows / 2 * kCols, all.end()));
}

// GPTQ: everything with outputs along the rows of the file.
QuantMatrix gptq_matrix(const Integers& made, Pieces& pieces, int64_t added) {
  std::vector<uint32_t> words(kCols / 8 * kRows);
  std::vector<uint32_t> zero_words(2 * 2);
  std::vector<uint16_t> scales(2 * kRows);
  for (int64_t n = 0; n < kRows; ++n) {
    for (int64_t k = 0; k < kCols; ++k) {
      words[static_cast<size_t>(k / 8 * kRows + n)] |= made.code(n, k) << (k % 8 * 4);
    }
    for (int64_t g = 0; g < 2; ++g) {
      const uint32_t stored = made.zero(n, g) - static_cast<uint32_t>(added);
      zero_words[static_cast<size_t>(g * 2 + n / 8)] |= (stored & 15U) << (n % 8 * 4);
      scales[static_cast<size_t>(g * kRows + n)] = made.scale(n, g);
    }
  }
  QuantMatrix matrix = integer_matrix();
  matrix.codes = pieces.add(DType::kI32, words);
  matrix.code_order = CodeOrder::kInputWords;
  matrix.scales = TileValues{
      .values = pieces.add(DType::kF16, scales), .tile_cols = kGroup, .order = TileOrder::kTransposed};
  matrix.zeros = ZeroPoints{.words = pieces.add(DType::kI32, zero_words),
                            .order = ZeroPoints::Order::kAlongOutputs,
                            .group_size = kGroup,
                            .added = added};
  return matrix;
}

TEST(RowReaderTest, WordsAlongInputs) {
  const Integers made;
  for (const int64_t added : {0, 1}) {
    Pieces pieces;
    QuantMatrix matrix = gptq_matrix(made, pieces, added);
    pieces.write(matrix);
    EXPECT_EQ(decode_all(matrix), made.values());
  }
}

TEST(RowReaderTest, GroupsNamedByAnIndex) {
  const Integers made;
  const std::vector<int32_t> mixed = {1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1};
  const std::vector<int32_t> runs = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
  const auto decode_with = [&](const std::vector<int32_t>& index, bool is_kept) {
    Pieces pieces;
    QuantMatrix matrix = gptq_matrix(made, pieces, 1);
    matrix.group_index = pieces.add(DType::kI32, index);
    pieces.write(matrix);
    EXPECT_EQ(!RowReader(matrix).group_index().empty(), is_kept);
    return decode_all(matrix);
  };
  EXPECT_EQ(decode_with(mixed, true), made.values(mixed));
  EXPECT_EQ(decode_with(runs, false), made.values());
  EXPECT_EQ(decode_with(std::vector<int32_t>(kCols, -1), false), made.values());  // "no order"
}

TEST(RowReaderTest, AnIndexThatIsNoGroupingIsRefused) {
  const Integers made;
  const auto expect = [&](size_t k, int32_t group, std::string_view part) {
    std::vector<int32_t> index = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
    index[k] = group;
    Pieces pieces;
    QuantMatrix matrix = gptq_matrix(made, pieces, 1);
    matrix.group_index = pieces.add(DType::kI32, index);
    pieces.write(matrix);
    expect_refused(matrix, part);
  };
  expect(3, 2, "group index 2 of input 3");
  expect(3, -1, "group index -1 of input 3");
  expect(3, 1, "group 0 has 7 inputs, expected 8");
}

TEST(RowReaderTest, AZeroPointThatReadersDisagreeAboutIsRefused) {
  Integers made;
  made.zeros[5] = 0;  // stored as 15 with one added
  Pieces pieces;
  QuantMatrix matrix = gptq_matrix(made, pieces, 1);
  pieces.write(matrix);
  expect_refused(matrix, "zero point of row 2 group 1");
}

TEST(RowReaderTest, WordsAlongOutputsInAwqOrder) {
  const Integers made;
  std::vector<uint32_t> words(kCols * kRows / 8);
  std::vector<uint32_t> zero_words(2 * kRows / 8);
  std::vector<uint16_t> scales(2 * kRows);
  // The order as AWQ's own tables have it: nibble i holds column kColumn[i].
  constexpr int64_t kColumn[] = {0, 2, 4, 6, 1, 3, 5, 7};
  for (int64_t word = 0; word < kRows / 8; ++word) {
    for (int64_t nibble = 0; nibble < 8; ++nibble) {
      const int64_t n = word * 8 + kColumn[nibble];
      for (int64_t k = 0; k < kCols; ++k) {
        words[static_cast<size_t>(k * 2 + word)] |= made.code(n, k) << (nibble * 4);
      }
      for (int64_t g = 0; g < 2; ++g) {
        zero_words[static_cast<size_t>(g * 2 + word)] |= made.zero(n, g) << (nibble * 4);
        scales[static_cast<size_t>(g * kRows + n)] = made.scale(n, g);
      }
    }
  }
  Pieces pieces;
  QuantMatrix matrix = integer_matrix();
  matrix.codes = pieces.add(DType::kI32, words);
  matrix.code_order = CodeOrder::kOutputWords;
  matrix.scales = TileValues{
      .values = pieces.add(DType::kF16, scales), .tile_cols = kGroup, .order = TileOrder::kTransposed};
  matrix.zeros = ZeroPoints{.words = pieces.add(DType::kI32, zero_words),
                            .order = ZeroPoints::Order::kAwqInterleaved,
                            .group_size = kGroup};
  pieces.write(matrix);
  EXPECT_EQ(decode_all(matrix), made.values());
}

TEST(RowReaderTest, SignedBytesOfPackedWordsAreOffset) {
  const std::vector<uint8_t> stored = {0, 127, 128, 255};
  for (const DType dtype : {DType::kI8, DType::kI32}) {
    Pieces pieces;
    QuantMatrix matrix = {.rows = 1, .cols = 4, .format = Format::kInt8};
    matrix.codes = pieces.add(dtype, stored);
    matrix.scales = TileValues{.values = pieces.add<float>(DType::kF32, {0.5F}), .tile_cols = 4};
    pieces.write(matrix);
    const std::vector<float> expected = dtype == DType::kI8 ? std::vector<float>{0, 63.5F, -64, -0.5F}
                                                            : std::vector<float>{-64, -0.5F, 0, 63.5F};
    EXPECT_EQ(decode_all(matrix), expected);
  }
}

// Five- and six-bit codes run over the borders of bytes and words.
TEST(RowReaderTest, AffineCodesAsABitStream) {
  for (const int bits : {4, 5, 6, 8}) {
    constexpr int64_t kWide = 32;
    std::vector<uint32_t> words(static_cast<size_t>(2 * kWide * bits / 32));
    std::vector<float> expected;
    std::mt19937 random(static_cast<uint32_t>(bits));
    for (int64_t n = 0; n < 2; ++n) {
      for (int64_t k = 0; k < kWide; ++k) {
        const auto code = static_cast<uint32_t>(random() % (1U << bits));
        expected.push_back(static_cast<float>(code) * (n == 0 ? -0.25F : 0.5F) + (n == 0 ? 3.0F : -1.0F));
        for (int bit = 0; bit < bits; ++bit) {
          const int64_t at = (n * kWide + k) * bits + bit;
          words[static_cast<size_t>(at / 32)] |= (code >> bit & 1U) << (at % 32);
        }
      }
    }
    Pieces pieces;
    const Format format = bits == 4   ? Format::kAffine4
                          : bits == 5 ? Format::kAffine5
                          : bits == 6 ? Format::kAffine6
                                      : Format::kAffine8;
    QuantMatrix matrix = {.rows = 2, .cols = kWide, .format = format};
    matrix.codes = pieces.add(DType::kU32, words);
    const std::vector<uint16_t> scales = {float_to_bf16(-0.25F), float_to_bf16(0.5F)};
    const std::vector<uint16_t> minimums = {float_to_bf16(3), float_to_bf16(-1)};
    matrix.scales = TileValues{.values = pieces.add(DType::kBf16, scales), .tile_cols = kWide};
    matrix.minimums = TileValues{.values = pieces.add(DType::kBf16, minimums), .tile_cols = kWide};
    matrix.may_have_negative_scales = true;
    pieces.write(matrix);
    EXPECT_EQ(decode_all(matrix), expected) << bits;
  }
}

// NF4 in rows of 5 and blocks of 4: blocks and bytes straddle rows.
TEST(RowReaderTest, FlatBlocksWithTheHighHalfFirst) {
  const std::vector<uint8_t> codes = {0x0f, 0x81, 0x72, 0xa3, 0xe4, 0xd5, 0xc6, 0xb0};
  const std::vector<float> absmax = {1, 2, 4, 8};
  Pieces pieces;
  QuantMatrix matrix = {
      .rows = 3, .cols = 5, .format = Format::kNf4, .code_order = CodeOrder::kRowsHighFirst};
  matrix.codes = pieces.add(DType::kU8, codes);
  matrix.scales =
      TileValues{.values = pieces.add(DType::kF32, absmax), .tile_cols = 4, .order = TileOrder::kFlat};
  pieces.write(matrix);
  EXPECT_THROW(decode_all(matrix), Error);  // pieces of one input: not supported
  matrix.rows = 2;
  matrix.cols = 6;
  std::vector<float> expected;
  for (size_t i = 0; i < 12; ++i) {
    const uint8_t code = i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15;
    expected.push_back(kNf4Values[code] * absmax[i / 4]);
  }
  EXPECT_EQ(decode_all(matrix), expected);
}

QuantMatrix nvfp4_matrix(Pieces& pieces, float global, bool divides, const std::vector<uint8_t>& scales) {
  QuantMatrix matrix = {.rows = 1, .cols = 32, .format = Format::kNvFp4};
  std::vector<uint8_t> codes(16);
  for (uint8_t i = 0; i < 16; ++i) codes[i] = static_cast<uint8_t>(i << 4 | (15 - i));
  matrix.codes = pieces.add(DType::kU8, codes);
  matrix.scales = TileValues{.values = pieces.add(DType::kF8E4M3, scales), .tile_cols = 16};
  matrix.global_scale = pieces.add<float>(DType::kF32, {global});
  matrix.global_scale_divides = divides;
  return matrix;
}

TEST(RowReaderTest, GlobalScalesDivideOrMultiply) {
  for (const bool divides : {false, true}) {
    const float global = divides ? 1234.5F : 0.00081F;
    Pieces pieces;
    QuantMatrix matrix = nvfp4_matrix(pieces, global, divides, {0x40, 0x2b});
    pieces.write(matrix);
    const std::vector<float> values = decode_all(matrix);
    for (size_t k = 0; k < 32; ++k) {
      const size_t code = k % 2 == 0 ? 15 - k / 2 : k / 2;
      const float scale = e4m3_to_float(k < 16 ? 0x40 : 0x2b);
      EXPECT_EQ(values[k], kE2m1Values[code] * (divides ? scale / global : scale * global)) << k;
    }
  }
}

TEST(RowReaderTest, GlobalScalesTheWrongWayRoundAreRefused) {
  for (const auto& [global, divides, part] :
       {std::tuple{0.5F, true, "below 1"}, std::tuple{2.0F, false, "above 1"},
        std::tuple{0.0F, true, "expected a finite positive"},
        std::tuple{-3.0F, true, "expected a finite positive"},
        std::tuple{NAN, false, "expected a finite positive"}}) {
    Pieces pieces;
    QuantMatrix matrix = nvfp4_matrix(pieces, global, divides, {0x40, 0x2b});
    pieces.write(matrix);
    expect_refused(matrix, part);
  }
  for (const bool divides : {false, true}) {  // a tensor of zeros
    Pieces pieces;
    QuantMatrix matrix = nvfp4_matrix(pieces, 1, divides, {0x40, 0x2b});
    pieces.write(matrix);
    decode_all(matrix);
  }
}

TEST(RowReaderTest, ScaleBytesThatAreNoNumberAreRefused) {
  Pieces pieces;
  QuantMatrix nan_scale = nvfp4_matrix(pieces, 100, true, {0x40, 0x7f});
  pieces.write(nan_scale);
  expect_refused(nan_scale, "scale of row 0 group 1 is nan");
  Pieces more;
  QuantMatrix negative = nvfp4_matrix(more, 100, true, {0x40, 0xc0});
  more.write(negative);
  expect_refused(negative, "scale of row 0 group 1 is -2");
  Pieces mx;
  QuantMatrix matrix = {.rows = 1, .cols = 32, .format = Format::kMxFp4};
  matrix.codes = mx.add(DType::kU8, std::vector<uint8_t>(16, 0x22));
  matrix.scales = TileValues{.values = mx.add<uint8_t>(DType::kU8, {255}), .tile_cols = 32};
  mx.write(matrix);
  expect_refused(matrix, "scale of row 0 is nan");
}

TEST(RowReaderTest, PowersOfTwoReachSubnormals) {
  for (const uint8_t stored : {uint8_t{0}, uint8_t{1}, uint8_t{127}, uint8_t{254}}) {
    Pieces pieces;
    QuantMatrix matrix = {.rows = 1, .cols = 32, .format = Format::kMxFp8};
    matrix.codes = pieces.add(DType::kF8E4M3, std::vector<uint8_t>(32, 0x38));  // 1
    matrix.scales = TileValues{.values = pieces.add<uint8_t>(DType::kU8, {stored}), .tile_cols = 32};
    pieces.write(matrix);
    EXPECT_EQ(decode_all(matrix)[0], std::ldexp(1.0F, stored - 127));
  }
}

}  // namespace
}  // namespace beryl::formats
