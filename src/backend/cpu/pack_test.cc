#include "backend/cpu/pack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <tuple>
#include <vector>

#include "backend/cpu/pack_order.h"
#include "backend/cpu/packed_for_tests.h"
#include "formats/moves_for_tests.h"

namespace beryl::backend {
namespace {

using formats::CodeKind;
using formats::ScaleKind;

class PackTest : public testing::TestWithParam<TestScheme> {};

uint32_t word_at(const std::byte* line, int64_t row) {
  uint32_t word;
  std::memcpy(&word, line + row * 4, sizeof(word));
  return word;
}

// The code that packed_matrix.h puts at input `k` of group `group`, written out from its table.
uint32_t packed_code(const PackedLayout& layout, const std::byte* panel, int64_t group, int64_t k,
                     int64_t row) {
  const std::byte* lines = panel + layout.group_offset(group);
  if (layout.code_bits == 32) return word_at(lines + k * kLineBytes, row);
  const uint32_t half = k % 2 == 0 ? 0 : 16;
  if (layout.code_bits == 16) return word_at(lines + k / 2 * kLineBytes, row) >> half & 0xffffU;
  if (layout.code_bits == 8) {
    return word_at(lines + k / 4 * kLineBytes, row) >> (half + (k % 4 < 2 ? 0U : 8U)) & 0xffU;
  }
  uint32_t code =
      word_at(lines + k / 8 * kLineBytes, row) >> (half + static_cast<uint32_t>(k % 8 / 2 * 4)) & 15U;
  if (layout.code_bits == 4) return code;
  const std::byte* planes = lines + (layout.inputs_of(group) + 7) / 8 * kLineBytes;
  const int64_t bits = layout.code_bits - 4;
  const int64_t per_word = 32 / bits;
  const auto shift = static_cast<uint32_t>(k % per_word / 2 * bits);
  const uint32_t high = word_at(planes + k / per_word * kLineBytes, row) >> (half + shift);
  return code | (high & ((1U << bits) - 1)) << 4;
}

// Every remainder of rows and inputs: codes are where they belong, and zero where there are none.
TEST_P(PackTest, CodesFollowTheLayout) {
  for (int64_t rows = 1; rows <= 16; ++rows) {
    for (int64_t cols = rows % 3 + 1; cols <= 70; cols += 3) {
      const PackedForTests made(GetParam(), rows, cols, static_cast<uint32_t>(rows * 100 + cols));
      const PackedLayout& layout = made.layout;
      ASSERT_TRUE(made.is_finite) << rows << " x " << cols;
      for (int64_t group = 0; group < layout.groups; ++group) {
        const int64_t padded = layout.code_lines(layout.inputs_of(group)) * layout.word_inputs;
        for (int64_t row = 0; row < kPanelRows; ++row) {
          for (int64_t k = 0; k < padded; ++k) {
            const bool is_there = row < rows && k < layout.inputs_of(group);
            ASSERT_EQ(packed_code(layout, made.panel(0), group, k, row),
                      is_there ? made.code(row, group * layout.group_inputs + k) : 0U)
                << rows << " x " << cols << ", row " << row << " group " << group << " input " << k;
          }
        }
      }
    }
  }
}

// Full panels, which go through tiles, with every remainder of words; a bad code anywhere is found.
TEST_P(PackTest, EverySetOfMovesWritesTheSame) {
  for (const int64_t cols : {16, 64, 70, 128, 160, 224, 352, 704}) {
    PackedForTests made(GetParam(), kPanelRows, cols, static_cast<uint32_t>(cols));
    const std::vector<std::byte> portable = made.packed;
    for (const formats::CodeMoves* moves : formats::available_moves()) {
      made.moves = moves;
      made.set_codes(std::vector<uint32_t>(made.codes));
      ASSERT_TRUE(made.is_finite);
      ASSERT_EQ(made.packed, portable) << cols << " inputs, words a tile " << moves->tile_words;
    }
  }
}

// Codes that are not finite: infinities, and NaN with the lowest and highest payloads.
std::vector<uint32_t> bad_codes(CodeKind kind) {
  switch (kind) {
    case CodeKind::kBf16:
      return {0x7f80, 0xff80, 0x7f81, 0xffff};
    case CodeKind::kF16:
      return {0x7c00, 0xfc00, 0x7c01, 0xffff};
    case CodeKind::kF32:
      return {0x7f800000, 0xff800000, 0x7f800001, 0xffffffff};
    case CodeKind::kE4m3:
      return {0x7f, 0xff};
    default:
      return {};
  }
}

// The largest finite code; its neighbours in a word must not carry into each other's test.
uint32_t largest_code(CodeKind kind) {
  switch (kind) {
    case CodeKind::kBf16:
      return 0xff7f;
    case CodeKind::kF16:
      return 0xfbff;
    case CodeKind::kF32:
      return 0xff7fffff;
    case CodeKind::kE4m3:
      return 0xfe;
    default:
      return (1U << formats::code_bits(kind)) - 1;
  }
}

TEST_P(PackTest, FindsANonFiniteCodeAtAnyPlace) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{16, 35}, {16, 130}, {7, 21}, {1, 1}}) {
    PackedForTests made(GetParam(), rows, cols, 1);
    const CodeKind kind = made.layout.scheme.codes;
    std::vector<uint32_t> list(static_cast<size_t>(rows * cols), largest_code(kind));
    made.set_codes(list);
    made.moves = formats::available_moves().back();
    made.set_codes(list);
    ASSERT_TRUE(made.is_finite);
    for (size_t at = 0; at < list.size(); ++at) {
      for (const uint32_t bad : bad_codes(kind)) {
        list[at] = bad;
        made.set_codes(list);
        EXPECT_FALSE(made.is_finite) << rows << " x " << cols << ", code " << bad << " at " << at;
      }
      list[at] = largest_code(kind);
    }
  }
}

TEST_P(PackTest, EveryFiniteCodeOfUpTo16BitsIsAccepted) {
  PackedForTests made(GetParam(), 1, 1, 1);
  if (made.layout.code_bits > 16) return;
  for (uint32_t code = 0; code < 1U << made.layout.code_bits; ++code) {
    made.set_codes({&code, 1});
    EXPECT_EQ(made.is_finite, std::isfinite(code_value(made.layout.scheme.codes, code))) << code;
  }
}

INSTANTIATE_TEST_SUITE_P(All, PackTest, testing::ValuesIn(all_test_schemes()),
                         [](const auto& info) { return std::string(info.param.name); });

const TestScheme& scheme_named(std::string_view name) {
  const auto& all = all_test_schemes();
  return *std::find_if(all.begin(), all.end(), [&](const TestScheme& scheme) { return scheme.name == name; });
}

// Where scales are, byte by byte, in one layout of each shape.
TEST(PackedLayoutTest, ScalesStandBehindTheirCodes) {
  const PackedForTests nvfp4(scheme_named("nvfp4"), 16, 48, 1);
  EXPECT_EQ(nvfp4.layout.group_bytes, 2 * kLineBytes + 16);
  EXPECT_EQ(nvfp4.layout.outer_offset(0), 3 * (2 * kLineBytes + 16));
  EXPECT_EQ(nvfp4.layout.panel_bytes, 8 * kLineBytes);  // 432 + 64, padded
  const std::byte* scales = nvfp4.panel(0) + nvfp4.layout.group_offset(1) + 2 * kLineBytes;
  float factor;
  std::memcpy(&factor, nvfp4.panel(0) + nvfp4.layout.outer_offset(0) + 7 * 4, sizeof(factor));
  EXPECT_EQ(e4m3_to_float(static_cast<uint8_t>(scales[7])) * factor, nvfp4.scale(7, 16));

  const PackedForTests q4_k(scheme_named("q4_k"), 16, 512, 1);
  EXPECT_EQ(q4_k.layout.groups, 16);
  EXPECT_EQ(q4_k.layout.outer_offset(0), 8 * (4 * kLineBytes + 32));
  EXPECT_EQ(q4_k.layout.group_offset(8), q4_k.layout.outer_offset(0) + 64);
  EXPECT_EQ(q4_k.layout.outer_offset(1), 2 * q4_k.layout.outer_offset(0) + 64);
  const std::byte* numbers = q4_k.panel(0) + q4_k.layout.group_offset(9) + 4 * kLineBytes;
  EXPECT_EQ(static_cast<float>(numbers[3]), q4_k.parts.scales[3 * 16 + 9]);
  EXPECT_EQ(static_cast<float>(numbers[16 + 3]), q4_k.parts.minimums[3 * 16 + 9]);
}

TEST(PackedLayoutTest, SizesOfSmallShapes) {
  const PackedLayout fp8(scheme_named("fp8").of(5), 17, 5);
  EXPECT_EQ(fp8.panels, 2);
  EXPECT_EQ(fp8.panel_bytes, 3 * kLineBytes);
  EXPECT_EQ(fp8.bytes(), 6U * kLineBytes);
  const PackedLayout bf16(scheme_named("bf16").of(5), 16, 5);
  EXPECT_EQ(bf16.panels, 1);
  EXPECT_EQ(bf16.bytes(), 3U * kLineBytes);
  EXPECT_EQ(PackedLayout(scheme_named("f32").of(5), 1, 5).bytes(), 5U * kLineBytes);
}

// Bits of one element as published, scales included.
double published_bits(std::string_view name) {
  if (name == "f32") return 32;
  if (name == "bf16" || name == "f16") return 16;
  if (name.starts_with("fp8") || name == "int8_row") return 8;
  if (name == "mxfp8") return 8.25;
  if (name == "mxfp4") return 4.25;
  if (name == "int4_row") return 4;
  if (name == "int4_g128") return 4.125;
  if (name == "int4_g32" || name == "nvfp4" || name == "affine4" || name == "q4_k") return 4.5;
  if (name == "int4_g32_zeros") return 4.625;
  if (name == "int8_g64_zeros") return 8.375;
  if (name == "affine5" || name == "q5_0" || name == "q5_k") return 5.5;
  if (name == "affine6") return 7;
  if (name == "affine8") return 8.5;
  if (name == "nf4") return 4 + 8.0 / 64 + 32.0 / (64 * 256);
  if (name == "q6_k") return 6.5625;
  return 0;
}

// Memory at most 1.1 times the published bytes, for every linear layer of the published models that has no
// more than padding to gain from its size.
TEST(PackedLayoutTest, PublishedShapesGrowByAtMostATenth) {
  const std::pair<int64_t, int64_t> shapes[] = {
      {2048, 1536},   {4096, 1536},   {256, 1536},    {512, 1536},    {1536, 2048},   {1536, 4096},
      {2048, 2560},   {4096, 2560},   {512, 2560},    {1024, 2560},   {2560, 2048},   {2560, 4096},
      {4096, 3840},   {8192, 3840},   {2048, 3840},   {512, 3840},    {3840, 4096},   {3840, 8192},
      {4096, 2816},   {8192, 2816},   {2048, 2816},   {1024, 2816},   {2816, 4096},   {2816, 8192},
      {8192, 5376},   {16384, 5376},  {4096, 5376},   {2048, 5376},   {5376, 8192},   {5376, 16384},
      {704, 2816},    {2816, 704},    {2112, 2816},   {2816, 2112},   {128, 2816},    {256, 2560},
      {2560, 256},    {1536, 256},    {8960, 1536},   {10752, 2560},  {262144, 1536}, {262144, 2560},
      {262144, 2816}, {262144, 3840}, {262144, 5376}, {262144, 8960}, {262144, 10752}};
  for (const auto& [rows, cols] : shapes) {
    for (const TestScheme& scheme : all_test_schemes()) {
      const PackedLayout layout(scheme.of(cols), rows, cols);
      const double published =
          static_cast<double>(rows) * static_cast<double>(cols) * published_bits(scheme.name) / 8;
      ASSERT_GT(published, 0) << scheme.name;
      EXPECT_LE(static_cast<double>(layout.bytes()), 1.1 * published)
          << scheme.name << ' ' << rows << " x " << cols;
    }
  }
}

TEST(ReorderTest, GroupsBecomeRuns) {
  const std::vector<int32_t> group_index = {1, 0, 2, 1, 0, 2, 0, 1};
  const std::vector<int32_t> order = order_by_group(group_index);
  EXPECT_EQ(order, (std::vector<int32_t>{1, 4, 6, 0, 3, 7, 2, 5}));
  for (const char* name : {"int4_g32", "int8_g64_zeros"}) {
    PackedForTests made(scheme_named(name), 3, 8, 5);
    formats::RowParts parts = made.parts;
    ReorderScratch scratch;
    reorder_inputs(made.layout, formats::CodeShape::kBytes, order, formats::portable_moves(), parts, scratch);
    std::vector<uint32_t> expected;
    for (int64_t row = 0; row < 3; ++row) {
      for (const int32_t k : order) expected.push_back(made.code(row, k));
    }
    made.set_codes(expected);
    EXPECT_EQ(parts.codes, made.parts.codes) << name;
  }
  EXPECT_TRUE(order_by_group({}).empty());
}

// Rows and inputs beyond those that are turned over at a time.
TEST(ReorderTest, AnyOrderOfManyInputs) {
  for (const char* name : {"int4_g32", "int8_g64_zeros"}) {
    for (const int64_t cols : {7, 64, 150}) {
      std::vector<int32_t> order(static_cast<size_t>(cols));
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), std::mt19937(9));
      PackedForTests made(scheme_named(name), 19, cols, 5);
      formats::RowParts parts = made.parts;
      ReorderScratch scratch;
      reorder_inputs(made.layout, formats::CodeShape::kBytes, order, formats::portable_moves(), parts,
                     scratch);
      std::vector<uint32_t> expected;
      for (int64_t row = 0; row < 19; ++row) {
        for (const int32_t k : order) expected.push_back(made.code(row, k));
      }
      made.set_codes(expected);
      EXPECT_EQ(parts.codes, made.parts.codes) << name << ' ' << cols;
    }
  }
}

// The same in columns, of which each set of moves turns blocks of its own size.
TEST(ReorderTest, AnyOrderOfColumns) {
  for (const char* name : {"int4_g32", "int8_g64_zeros"}) {
    for (const int64_t rows : {32, 48, 144, 304}) {
      constexpr int64_t kCols = 72;
      const PackedForTests made(scheme_named(name), rows, kCols, 5);
      const int64_t codes = made.layout.word_inputs;
      const int64_t column_bytes = formats::column_bytes(rows);
      // Code `k` of `row`, wherever it stands in columns.
      const auto code_at = [&](const std::vector<std::byte>& columns, int64_t row, int64_t k) {
        const uint32_t word = word_at(columns.data() + k / codes * column_bytes, row);
        return word >> (k % codes * made.layout.code_bits) & ((1U << made.layout.code_bits) - 1);
      };
      formats::RowParts parts;
      parts.rows = rows;
      parts.codes.resize(static_cast<size_t>(kCols / codes * column_bytes));
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t k = 0; k < kCols; ++k) {
          std::byte* at = parts.codes.data() + k / codes * column_bytes + row * 4;
          const uint32_t word = word_at(at, 0) | made.code(row, k) << (k % codes * made.layout.code_bits);
          std::memcpy(at, &word, sizeof(word));
        }
      }
      std::vector<int32_t> order(static_cast<size_t>(kCols));
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), std::mt19937(9));
      for (const formats::CodeMoves* moves : formats::available_moves()) {
        formats::RowParts moved = parts;
        ReorderScratch scratch;
        reorder_inputs(made.layout, formats::CodeShape::kColumns, order, *moves, moved, scratch);
        for (int64_t row = 0; row < rows; ++row) {
          for (int64_t k = 0; k < kCols; ++k) {
            ASSERT_EQ(code_at(moved.codes, row, k), made.code(row, order[static_cast<size_t>(k)]))
                << name << ' ' << rows << ", row " << row << " input " << k << ", words a tile "
                << moves->tile_words;
          }
        }
      }
    }
  }
}

// Every number that a scale can be keeps its bits.
TEST(PackNumbersTest, ScalesKeepTheirBits) {
  const formats::Scheme f16{.codes = CodeKind::kI4, .group = 8, .scale = ScaleKind::kF16};
  const formats::Scheme e4m3{.codes = CodeKind::kI4, .group = 8, .scale = ScaleKind::kE4m3};
  for (const auto& [scheme, count, bytes] : {std::tuple(f16, 0x10000, 2), {e4m3, 0x100, 1}}) {
    const PackedLayout layout(scheme, kPanelRows, count / kPanelRows * 8);
    formats::RowParts parts;
    parts.rows = kPanelRows;
    parts.codes.resize(static_cast<size_t>(kPanelRows * layout.cols / 2));
    for (int code = 0; code < count; ++code) {
      const float value =
          bytes == 2 ? f16_to_float(static_cast<uint16_t>(code)) : kE4m3Values[static_cast<size_t>(code)];
      parts.scales.push_back(std::isfinite(value) ? value : 0.0F);
    }
    std::vector<std::byte> panel(layout.bytes());
    ASSERT_TRUE(pack_panel(
        layout, {.parts = &parts, .code_row_bytes = layout.cols / 2, .first = 0, .count = kPanelRows},
        panel.data()));
    for (int64_t code = 0; code < count; ++code) {
      if (parts.scales[static_cast<size_t>(code)] == 0 && (code & (count / 2 - 1)) != 0)
        continue;  // not finite
      uint32_t stored = 0;
      std::memcpy(&stored,
                  panel.data() + layout.group_offset(code % layout.groups) + kLineBytes +
                      code / layout.groups * bytes,
                  static_cast<size_t>(bytes));
      ASSERT_EQ(stored, static_cast<uint32_t>(code));
    }
  }
}

}  // namespace
}  // namespace beryl::backend
