#include "backend/cpu/pack.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "backend/cpu/packed_for_tests.h"

namespace beryl::backend {
namespace {

using formats::Format;

class PackTest : public testing::TestWithParam<Format> {};

// The byte that packed_matrix.h puts at (line, row, byte of the word).
std::byte expected_byte(const PackedForTests& made, int64_t line, int64_t row, int64_t byte) {
  const PackedLayout& layout = made.layout;
  const int64_t col = line * layout.codes_per_word() + byte / layout.code_bytes;
  if (row >= layout.rows || col >= layout.cols) return std::byte{0};
  const int64_t index = (row * layout.cols + col) * layout.code_bytes + byte % layout.code_bytes;
  return made.codes[static_cast<size_t>(index)];
}

TEST_P(PackTest, EveryRemainderFollowsTheLayout) {
  for (int64_t rows = 1; rows <= 16; ++rows) {
    for (int64_t cols = 1; cols <= 70; ++cols) {
      const PackedForTests made(GetParam(), true, rows, cols, static_cast<uint32_t>(rows * 100 + cols));
      ASSERT_TRUE(made.is_finite) << rows << " x " << cols;
      std::vector<std::byte> expected(static_cast<size_t>(made.layout.panel_bytes));
      for (int64_t at = 0; at < made.layout.lines * kLineBytes; ++at) {
        expected[static_cast<size_t>(at)] =
            expected_byte(made, at / kLineBytes, at % kLineBytes / 4, at % kLineBytes % 4);
      }
      std::memcpy(expected.data() + made.layout.lines * kLineBytes, made.scales.data(),
                  made.scales.size() * sizeof(float));
      ASSERT_EQ(made.packed, expected) << rows << " x " << cols;
    }
  }
}

// Codes that are not finite: infinities, and NaN with the lowest and highest payloads.
std::vector<uint32_t> bad_codes(Format format) {
  switch (format) {
    case Format::kBf16:
      return {0x7f80, 0xff80, 0x7f81, 0xffff};
    case Format::kF16:
      return {0x7c00, 0xfc00, 0x7c01, 0xffff};
    case Format::kF32:
      return {0x7f800000, 0xff800000, 0x7f800001, 0xffffffff};
    case Format::kFp8E4m3:
      return {0x7f, 0xff};
  }
  return {};
}

// The largest finite code; its neighbours in a word must not carry into each other's test.
uint32_t largest_code(Format format) {
  switch (format) {
    case Format::kBf16:
      return 0xff7f;
    case Format::kF16:
      return 0xfbff;
    case Format::kF32:
      return 0xff7fffff;
    case Format::kFp8E4m3:
      return 0xfe;
  }
  return 0;
}

TEST_P(PackTest, FindsANonFiniteCodeAtAnyPlace) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{16, 35}, {7, 21}, {4, 16}, {1, 1}}) {
    PackedForTests made(GetParam(), false, rows, cols, 1);
    std::vector<uint32_t> list(static_cast<size_t>(rows * cols), largest_code(GetParam()));
    made.set_codes(list);
    ASSERT_TRUE(made.is_finite);
    for (size_t at = 0; at < list.size(); ++at) {
      for (const uint32_t bad : bad_codes(GetParam())) {
        list[at] = bad;
        made.set_codes(list);
        EXPECT_FALSE(made.is_finite) << rows << " x " << cols << ", code " << bad << " at " << at;
      }
      list[at] = largest_code(GetParam());
    }
  }
}

TEST_P(PackTest, EveryFiniteCodeOfUpTo16BitsIsAccepted) {
  if (GetParam() == Format::kF32) return;
  const uint32_t count = GetParam() == Format::kFp8E4m3 ? 0x100 : 0x10000;
  PackedForTests made(GetParam(), false, 1, 1, 1);
  for (uint32_t code = 0; code < count; ++code) {
    made.set_codes({&code, 1});
    EXPECT_EQ(made.is_finite, std::isfinite(made.values[0])) << code;
  }
}

INSTANTIATE_TEST_SUITE_P(All, PackTest, testing::ValuesIn(kAllFormats),
                         [](const auto& info) { return format_test_name(info.param); });

TEST(PackedLayoutTest, SizesOfSmallShapes) {
  const PackedLayout fp8(Format::kFp8E4m3, true, 17, 5);
  EXPECT_EQ(fp8.panels, 2);
  EXPECT_EQ(fp8.lines, 2);
  EXPECT_EQ(fp8.panel_bytes, 3 * kLineBytes);
  EXPECT_EQ(fp8.bytes(), 6U * kLineBytes);
  const PackedLayout bf16(Format::kBf16, false, 16, 5);
  EXPECT_EQ(bf16.panels, 1);
  EXPECT_EQ(bf16.lines, 3);
  EXPECT_EQ(bf16.bytes(), 3U * kLineBytes);
  EXPECT_EQ(PackedLayout(Format::kF32, false, 1, 5).bytes(), 5U * kLineBytes);
}

// Memory at most 1.1 times the published bytes, for every linear layer of the published models.
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
    for (const Format format : kAllFormats) {
      const bool has_scales = format == Format::kFp8E4m3;
      const PackedLayout layout(format, has_scales, rows, cols);
      // Scales are published as bf16 at least.
      const double published = static_cast<double>(rows) * static_cast<double>(cols * layout.code_bytes) +
                               (has_scales ? static_cast<double>(rows) * 2 : 0);
      EXPECT_LE(static_cast<double>(layout.bytes()), 1.1 * published) << rows << " x " << cols;
    }
  }
}

}  // namespace
}  // namespace beryl::backend
