// Codes of matrices that are large enough for whole tiles and vectors, with rests, in the orders that are
// taken apart by them; written code by code from the definitions.

#include <gtest/gtest.h>

#include <bit>
#include <memory>
#include <random>
#include <vector>

#include "base/file_for_tests.h"
#include "base/number_types.h"
#include "formats/integer.h"
#include "formats/moves_for_tests.h"
#include "formats/plain.h"
#include "formats/planes.h"
#include "formats/row_reader.h"
#include "formats/word_tiles.h"

namespace beryl::formats {
namespace {

// A file that holds codes and then enough bf16 ones for any scales.
struct Stored {
  Stored(QuantMatrix described, DType dtype, const std::vector<uint32_t>& words) : matrix(described) {
    std::vector<std::byte> bytes(words.size() * 4);
    std::memcpy(bytes.data(), words.data(), bytes.size());
    const uint64_t code_bytes = bytes.size();
    const auto numbers = static_cast<size_t>(matrix.rows * ((matrix.cols + 31) / 32));
    for (size_t i = 0; i < numbers; ++i) bytes.insert(bytes.end(), {std::byte{0x80}, std::byte{0x3f}});
    file = std::make_unique<File>(make_file_for_tests(bytes));
    matrix.codes = {.dtype = dtype, .range = {file.get(), 0, code_bytes}};
    matrix.scales = TileValues{
        .values = {.dtype = DType::kBf16, .range = {file.get(), code_bytes, numbers * 2}}, .tile_cols = 32};
    if (matrix.format != Format::kInt4) matrix.minimums = matrix.scales;
  }

  QuantMatrix matrix;
  std::unique_ptr<File> file;
};

std::vector<uint32_t> random_codes(int64_t count, int bits) {
  std::mt19937 random(static_cast<uint32_t>(count));
  std::vector<uint32_t> codes(static_cast<size_t>(count));
  for (uint32_t& code : codes) code = static_cast<uint32_t>(random()) & ((1U << bits) - 1);
  return codes;
}

// The same, in columns where they are offered.
void expect_columns(const QuantMatrix& matrix, const std::vector<uint32_t>& codes, int64_t first) {
  const int64_t count = matrix.rows - first;
  for (const CodeMoves* moves : available_moves()) {
    RowReader reader(matrix, *moves);
    const CodeShape shape = reader.packing_shape(first, count);
    if (shape != CodeShape::kColumns) {
      EXPECT_TRUE(count < kRowsTurned || first % 8 != 0);
      continue;
    }
    RowParts parts;
    reader.read(first, count, parts, shape);
    for (int64_t row = first; row < matrix.rows; ++row) {
      for (int64_t k = 0; k < matrix.cols; ++k) {
        const auto word =
            load_word<uint32_t>(parts.codes.data() + k / 8 * column_bytes(count) + (row - first) * 4);
        ASSERT_EQ(word >> (k % 8 * 4) & 15U, codes[static_cast<size_t>(row * matrix.cols + k)])
            << matrix.rows << " x " << matrix.cols << " row " << row << " input " << k << ", words a tile "
            << moves->tile_words;
      }
    }
  }
}

// Reads rows from `first` on and compares their 4-bit codes.
void expect_nibbles(const QuantMatrix& matrix, const std::vector<uint32_t>& codes, int64_t first) {
  RowReader reader(matrix);
  RowParts parts;
  reader.read(first, matrix.rows - first, parts);
  for (int64_t row = first; row < matrix.rows; ++row) {
    for (int64_t k = 0; k < matrix.cols; ++k) {
      const std::byte pair =
          parts.codes[static_cast<size_t>((row - first) * reader.code_row_bytes() + k / 2)];
      ASSERT_EQ(static_cast<uint32_t>(pair >> (k % 2 * 4) & std::byte{15}),
                codes[static_cast<size_t>(row * matrix.cols + k)])
          << matrix.rows << " x " << matrix.cols << " row " << row << " input " << k;
    }
  }
}

TEST(RowCodesTest, WordsOfInputsAndOfOutputs) {
  for (const int64_t rows : {8, 32, 72, 200, 512}) {
    for (const int64_t cols : {8, 32, 96, 104}) {
      const std::vector<uint32_t> codes = random_codes(rows * cols, 4);
      std::vector<uint32_t> by_inputs(static_cast<size_t>(rows * cols / 8));
      std::vector<uint32_t> by_outputs(by_inputs.size());
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t k = 0; k < cols; ++k) {
          const uint32_t code = codes[static_cast<size_t>(row * cols + k)];
          by_inputs[static_cast<size_t>(k / 8 * rows + row)] |= code << (k % 8 * 4);
          by_outputs[static_cast<size_t>(k * (rows / 8) + row / 8)] |= code << (kAwqNibble[row % 8] * 4);
        }
      }
      QuantMatrix matrix = {.rows = rows, .cols = cols, .format = Format::kInt4};
      matrix.code_order = CodeOrder::kInputWords;
      const Stored inputs(matrix, DType::kI32, by_inputs);
      matrix.code_order = CodeOrder::kOutputWords;
      const Stored outputs(matrix, DType::kI32, by_outputs);
      for (const int64_t first : {0, 3, 8}) {
        if (first >= rows) continue;
        expect_nibbles(inputs.matrix, codes, first);
        expect_nibbles(outputs.matrix, codes, first);
        expect_columns(inputs.matrix, codes, first);
        expect_columns(outputs.matrix, codes, first);
      }
    }
  }
}

// The code that planes.h puts at input `k` of a row.
uint32_t cut_code(const std::byte* row, int64_t cols, int64_t k, int plane_bits) {
  const uint32_t low = static_cast<uint32_t>(row[k / 2] >> (k % 2 * 4) & std::byte{15});
  const std::byte* plane = row + nibble_row_bytes(cols);
  uint32_t high = 0;
  for (int bit = 0; bit < plane_bits; ++bit) {
    const int64_t at = k * plane_bits + bit;
    high |= static_cast<uint32_t>(plane[at / 8] >> (at % 8) & std::byte{1}) << bit;
  }
  return low | high << 4;
}

TEST(RowCodesTest, StreamsOfFiveAndSixBitsAsBytesAndCut) {
  for (const int bits : {5, 6}) {
    for (const int64_t cols : {32, 64, 96, 224, 704}) {
      constexpr int64_t kRows = 3;
      const std::vector<uint32_t> codes = random_codes(kRows * cols, bits);
      std::vector<uint32_t> words(static_cast<size_t>(kRows * cols * bits / 32));
      for (int64_t at = 0; at < kRows * cols * bits; ++at) {
        const uint32_t bit = codes[static_cast<size_t>(at / bits)] >> (at % bits) & 1U;
        words[static_cast<size_t>(at / 32)] |= bit << (at % 32);
      }
      const Stored stored(
          {.rows = kRows, .cols = cols, .format = bits == 5 ? Format::kAffine5 : Format::kAffine6},
          DType::kU32, words);
      for (const CodeMoves* moves : available_moves()) {
        RowReader reader(stored.matrix, *moves);
        RowParts bytes;
        RowParts cut;
        reader.read(0, kRows, bytes);
        reader.read(0, kRows, cut, CodeShape::kPlanes);
        for (int64_t at = 0; at < kRows * cols; ++at) {
          const uint32_t expected = codes[static_cast<size_t>(at)];
          const std::byte* row = cut.codes.data() + at / cols * reader.code_row_bytes(CodeShape::kPlanes);
          ASSERT_EQ(static_cast<uint32_t>(bytes.codes[static_cast<size_t>(at)]), expected)
              << bits << ' ' << at;
          ASSERT_EQ(cut_code(row, cols, at % cols, bits - 4), expected)
              << bits << ' ' << cols << ' ' << at << ", words a tile " << moves->tile_words;
        }
      }
    }
  }
}

// Numbers, or the bytes that stand for them.
void expect_same_numbers(const std::vector<std::byte>& bytes, std::vector<float> numbers,
                         const std::vector<float>& expected, bool are_signed) {
  EXPECT_TRUE(bytes.empty() || numbers.empty());
  for (const std::byte byte : bytes) {
    const auto code = static_cast<uint8_t>(byte);
    numbers.push_back(are_signed ? static_cast<float>(static_cast<int8_t>(code)) : static_cast<float>(code));
  }
  EXPECT_EQ(numbers, expected);
}

// Blocks give the same codes either way; what they are as bytes is tested beside the decoder.
TEST(RowCodesTest, BlocksAreCutIntoTheCodesThatTheyHold) {
  for (const auto& [format, dtype] : {std::pair(Format::kQ5_0, DType::kQ5_0),
                                      {Format::kQ5_1, DType::kQ5_1},
                                      {Format::kQ5K, DType::kQ5K},
                                      {Format::kQ6K, DType::kQ6K}}) {
    constexpr int64_t kCols = 11 * 256;
    const DTypeBlock block = dtype_block(dtype);
    std::vector<std::byte> bytes(static_cast<size_t>(2 * kCols / block.elements * block.bytes));
    std::mt19937 random(5);
    // Below 0x70, so that no scale is infinite wherever it is.
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() % 0x70);
    // Scales of Q6_K are bytes of any sign.
    if (format == Format::kQ6K) bytes[192] = std::byte{0x85};
    const File file = make_file_for_tests(bytes);
    const QuantMatrix matrix = {.rows = 2,
                                .cols = kCols,
                                .format = format,
                                .codes = {.dtype = dtype, .range = {&file, 0, bytes.size()}}};
    for (const CodeMoves* moves : available_moves()) {
      RowReader reader(matrix, *moves);
      RowParts plain;
      RowParts cut;
      reader.read(0, 2, plain);
      reader.read(0, 2, cut, CodeShape::kPlanes);
      expect_same_numbers(cut.scale_bytes, cut.scales, plain.scales, format == Format::kQ6K);
      expect_same_numbers(cut.minimum_bytes, cut.minimums, plain.minimums, false);
      for (int64_t at = 0; at < 2 * kCols; ++at) {
        const std::byte* row = cut.codes.data() + at / kCols * reader.code_row_bytes(CodeShape::kPlanes);
        ASSERT_EQ(cut_code(row, kCols, at % kCols, format == Format::kQ6K ? 2 : 1),
                  static_cast<uint32_t>(plain.codes[static_cast<size_t>(at)]))
            << format_name(format) << ' ' << at << ", words a tile " << moves->tile_words;
      }
    }
  }
}

// Blocks of four bits, whose bytes hold a code in each half, by ggml_blocks.h.
TEST(RowCodesTest, HalvesOfBlocksAreTwoRunsOfCodes) {
  struct Case {
    Format format;
    DType dtype;
    int64_t first;  // byte of the codes in a block
    int64_t run;    // bytes whose low halves come before their high ones
  };
  for (const Case& one : {Case{Format::kQ4_0, DType::kQ4_0, 2, 16}, Case{Format::kQ4_1, DType::kQ4_1, 4, 16},
                          Case{Format::kQ4K, DType::kQ4K, 16, 32}}) {
    constexpr int64_t kCols = 3 * 256;
    const DTypeBlock block = dtype_block(one.dtype);
    std::vector<std::byte> bytes(static_cast<size_t>(2 * kCols / block.elements * block.bytes));
    std::mt19937 random(5);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() % 0x70);
    const File file = make_file_for_tests(bytes);
    const QuantMatrix matrix = {.rows = 2,
                                .cols = kCols,
                                .format = one.format,
                                .codes = {.dtype = one.dtype, .range = {&file, 0, bytes.size()}}};
    for (const CodeMoves* moves : available_moves()) {
      RowReader reader(matrix, *moves);
      RowParts parts;
      reader.read(0, 2, parts);
      for (int64_t at = 0; at < 2 * kCols; ++at) {
        const int64_t in_block = at % block.elements;
        const int64_t in_run = in_block % (2 * one.run);
        const int64_t byte = at / block.elements * block.bytes + one.first +
                             in_block / (2 * one.run) * one.run + in_run % one.run;
        const auto pair = static_cast<uint32_t>(bytes[static_cast<size_t>(byte)]);
        const auto stored = static_cast<uint32_t>(parts.codes[static_cast<size_t>(at / 2)]);
        ASSERT_EQ(stored >> (at % 2 * 4) & 15U, in_run < one.run ? pair & 15U : pair >> 4)
            << format_name(one.format) << ' ' << at << ", words a tile " << moves->tile_words;
      }
    }
  }
}

TEST(RowCodesTest, WidenedHalvesAreThoseOfTheDefinition) {
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    ASSERT_EQ(std::bit_cast<uint32_t>(widen_f16(half)), std::bit_cast<uint32_t>(f16_to_float(half))) << bits;
  }
}

}  // namespace
}  // namespace beryl::formats
