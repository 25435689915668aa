// Every kernel set against sums in double. Tolerances are relative to the sum of absolute products, which is
// what a sum's rounding error scales with.

#include "backend/cpu/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "backend/cpu/packed_for_tests.h"

namespace beryl::backend {
namespace {

using formats::CodeKind;

// Products of subnormals vanish; each may lose a whole smallest number.
constexpr double kSmallest = 1.5e-45;

class KernelsTest : public testing::TestWithParam<TestScheme> {
 protected:
  const Kernels& kernels_ = portable_kernels();

  void expect_product(const PackedForTests& made, const std::vector<float>& x, int64_t tokens) const {
    const int64_t cols = made.layout.cols;
    // More than 16 apart, so that writes beyond a panel's rows show.
    constexpr int64_t kStride = 19;
    std::vector<float> y(static_cast<size_t>(tokens * kStride), -7.0F);
    kernels_.multiply_panel({.layout = &made.layout,
                             .panel = made.panel(0),
                             .x = x.data(),
                             .x_stride = cols,
                             .tokens = tokens,
                             .y = y.data(),
                             .y_stride = kStride});
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t row = 0; row < kStride; ++row) {
        const double actual = y[static_cast<size_t>(t * kStride + row)];
        if (row >= made.layout.rows) {
          ASSERT_EQ(actual, row < kPanelRows ? 0.0 : -7.0) << "row " << row << " is padding";
          continue;
        }
        double sum = 0;
        double absolute = 0;
        for (int64_t k = 0; k < cols; ++k) {
          const double input = x[static_cast<size_t>(t * cols + k)];
          sum += input * made.value(row, k);
          absolute += std::abs(input) * made.magnitude(row, k);
        }
        ASSERT_NEAR(actual, sum, 1e-6 * absolute + kSmallest * static_cast<double>(cols))
            << cols << " inputs, token " << t << " of " << tokens << ", row " << row;
      }
    }
  }
};

TEST_P(KernelsTest, EveryInputCount) {
  for (int64_t cols = 1; cols <= 200; ++cols) {
    const int64_t rows = 1 + cols % 16;
    const PackedForTests made(GetParam(), rows, cols, static_cast<uint32_t>(cols));
    expect_product(made, random_floats(3 * cols, 7), 3);
  }
}

TEST_P(KernelsTest, SeveralSecondLevelGroups) {
  for (const int64_t cols : {255, 256, 257, 288, 512, 600, 768}) {
    const PackedForTests made(GetParam(), 16, cols, static_cast<uint32_t>(cols));
    expect_product(made, random_floats(2 * cols, 8), 2);
  }
}

TEST_P(KernelsTest, EveryTokenCount) {
  const PackedForTests made(GetParam(), 16, 131, 3);
  for (int64_t tokens = 1; tokens <= 33; ++tokens) {
    expect_product(made, random_floats(tokens * 131, static_cast<uint32_t>(tokens)), tokens);
  }
}

TEST_P(KernelsTest, ATokenHasTheSameBitsInAnyBatch) {
  constexpr int64_t kCols = 150;
  const PackedForTests made(GetParam(), 16, kCols, 4);
  const std::vector<float> x = random_floats(33 * kCols, 5);
  const auto multiply = [&](int64_t first, int64_t tokens) {
    std::vector<float> y(static_cast<size_t>(tokens * kPanelRows));
    kernels_.multiply_panel(
        {&made.layout, made.panel(0), x.data() + first * kCols, kCols, tokens, y.data(), kPanelRows});
    return y;
  };
  const std::vector<float> all = multiply(0, 33);
  for (int64_t first = 0; first < 33; ++first) {
    for (const int64_t tokens : {1, 2, 5, 9}) {
      if (first + tokens > 33) continue;
      const std::vector<float> part = multiply(first, tokens);
      ASSERT_EQ(0, std::memcmp(part.data(), all.data() + first * kPanelRows, part.size() * sizeof(float)));
    }
  }
}

// The finite code of the largest magnitude, and the bit of its sign if it has one of its own.
std::pair<uint32_t, uint32_t> largest_code(CodeKind kind) {
  switch (kind) {
    case CodeKind::kBf16:
      return {0x7f7f, 0x8000};
    case CodeKind::kF16:
      return {0x7bff, 0x8000};
    case CodeKind::kF32:
      return {0x7f7fffff, 0x80000000};
    case CodeKind::kE4m3:
      return {0x7e, 0x80};
    case CodeKind::kE2m1:
      return {7, 8};
    case CodeKind::kI8:
      return {0x80, 0};
    case CodeKind::kI4:
    case CodeKind::kI5:
    case CodeKind::kI6:
    case CodeKind::kNf4:
      return {0, 0};
    default:
      return {(1U << formats::code_bits(kind)) - 1, 0};
  }
}

TEST_P(KernelsTest, LargestCodesAndZeros) {
  PackedForTests made(GetParam(), 16, 64, 1);
  const auto [largest, sign] = largest_code(made.layout.scheme.codes);
  std::vector<uint32_t> codes(16 * 64);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = i % 3 == 0 ? 0 : largest | (i % 2 == 0 ? sign : 0);
  made.set_codes(codes);
  std::vector<float> x = random_floats(64, 2);
  for (float& value : x) value *= 0x1p-10F;  // keeps 64 of the largest in range
  expect_product(made, x, 1);
}

TEST_P(KernelsTest, DecodeRowIsExact) {
  for (const int64_t cols : {1, 2, 3, 5, 63, 64, 65, 130, 257, 512}) {
    const PackedForTests made(GetParam(), 16, cols, static_cast<uint32_t>(cols));
    std::vector<float> out(static_cast<size_t>(cols) + 1);
    for (int64_t row = 0; row < 16; ++row) {
      out.back() = -7.0F;
      kernels_.decode_row(made.layout, made.panel(0), row, out.data());
      for (int64_t k = 0; k < cols; ++k) ASSERT_EQ(out[static_cast<size_t>(k)], made.value(row, k)) << k;
      EXPECT_EQ(out.back(), -7.0F);
    }
  }
}

TEST_P(KernelsTest, EveryCodeOfUpTo16BitsDecodes) {
  PackedForTests made(GetParam(), 1, 1, 1);
  if (made.layout.code_bits > 16) return;
  const uint32_t count = 1U << made.layout.code_bits;
  std::vector<float> out(1);
  const CodeKind kind = made.layout.scheme.codes;
  for (uint32_t code = 0; code < count; ++code) {
    made.set_codes({&code, 1});
    if (!std::isfinite(code_value(kind, code))) continue;  // refused when packing
    kernels_.decode_row(made.layout, made.panel(0), 0, out.data());
    ASSERT_EQ(out[0], made.value(0, 0)) << code;
    ASSERT_EQ(std::signbit(out[0]), std::signbit(made.value(0, 0))) << code;
  }
}

INSTANTIATE_TEST_SUITE_P(Portable, KernelsTest, testing::ValuesIn(all_test_schemes()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(DotTest, EveryCount) {
  for (int64_t count = 0; count <= 200; ++count) {
    const std::vector<float> a = random_floats(count, 1);
    const std::vector<float> b = random_floats(count, 2);
    double sum = 0;
    double absolute = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      sum += double{a[i]} * b[i];
      absolute += std::abs(double{a[i]} * b[i]);
    }
    EXPECT_NEAR(portable_kernels().dot(a.data(), b.data(), count), sum, 1e-6 * absolute) << count;
  }
}

}  // namespace
}  // namespace beryl::backend
