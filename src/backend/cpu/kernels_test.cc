// Every kernel set against sums in double. Tolerances are relative to the sum of absolute products, which is
// what a sum's rounding error scales with.

#include "backend/cpu/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>
#include <vector>

#include "backend/cpu/packed_for_tests.h"

namespace beryl::backend {
namespace {

using formats::Format;

// Products of subnormals vanish; each may lose a whole smallest number.
constexpr double kSmallest = 1.5e-45;

class KernelsTest : public testing::TestWithParam<Format> {
 protected:
  const Kernels& kernels_ = portable_kernels();

  void expect_product(const PackedForTests& made, const std::vector<float>& x, int64_t tokens,
                      double tolerance = 1e-6) const {
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
          const double product = double{x[static_cast<size_t>(t * cols + k)]} * made.value(row, k);
          sum += product;
          absolute += std::abs(product);
        }
        const double scale = made.scale(row);
        ASSERT_NEAR(actual, sum * scale,
                    (tolerance * absolute + kSmallest * static_cast<double>(cols)) * scale)
            << cols << " inputs, token " << t << " of " << tokens << ", row " << row;
      }
    }
  }
};

TEST_P(KernelsTest, EveryInputCount) {
  for (int64_t cols = 1; cols <= 200; ++cols) {
    const int64_t rows = 1 + cols % 16;
    const PackedForTests made(GetParam(), cols % 2 == 0, rows, cols, static_cast<uint32_t>(cols));
    expect_product(made, random_floats(3 * cols, 7), 3);
  }
}

TEST_P(KernelsTest, EveryTokenCount) {
  const PackedForTests made(GetParam(), true, 16, 131, 3);
  for (int64_t tokens = 1; tokens <= 33; ++tokens) {
    expect_product(made, random_floats(tokens * 131, static_cast<uint32_t>(tokens)), tokens);
  }
}

TEST_P(KernelsTest, ATokenHasTheSameBitsInAnyBatch) {
  constexpr int64_t kCols = 150;
  const PackedForTests made(GetParam(), true, 16, kCols, 4);
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

TEST_P(KernelsTest, LargestCodesAndZeros) {
  const uint32_t largest[] = {0x7f7f, 0x7bff, 0x7f7fffff, 0x7e};
  const uint32_t sign[] = {0x8000, 0x8000, 0x80000000, 0x80};
  const auto index = static_cast<size_t>(GetParam());
  PackedForTests made(GetParam(), false, 16, 64, 1);
  std::vector<uint32_t> codes(16 * 64);
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = (i % 3 == 0 ? 0 : largest[index]) | (i % 2 == 0 ? sign[index] : 0);
  }
  made.set_codes(codes);
  std::vector<float> x = random_floats(64, 2);
  for (float& value : x) value *= 0x1p-10F;  // keeps 64 of the largest in range
  expect_product(made, x, 1);
}

TEST_P(KernelsTest, DecodeRowIsExact) {
  for (const int64_t cols : {1, 2, 3, 5, 63, 64, 65, 130}) {
    for (const bool has_scales : {false, true}) {
      const PackedForTests made(GetParam(), has_scales, 16, cols, static_cast<uint32_t>(cols));
      std::vector<float> out(static_cast<size_t>(cols) + 1);
      for (int64_t row = 0; row < 16; ++row) {
        out.back() = -7.0F;
        kernels_.decode_row(made.layout, made.panel(0), row, out.data());
        for (int64_t k = 0; k < cols; ++k) {
          EXPECT_EQ(out[static_cast<size_t>(k)], made.value(row, k) * made.scale(row));
        }
        EXPECT_EQ(out.back(), -7.0F);
      }
    }
  }
}

TEST_P(KernelsTest, EveryCodeOfUpTo16BitsDecodes) {
  if (GetParam() == Format::kF32) return;
  const uint32_t count = GetParam() == Format::kFp8E4m3 ? 0x100 : 0x10000;
  PackedForTests made(GetParam(), false, 1, count, 1);
  std::vector<uint32_t> codes(count);
  for (uint32_t code = 0; code < count; ++code) codes[code] = code;
  made.set_codes(codes);
  std::vector<float> out(count);
  kernels_.decode_row(made.layout, made.panel(0), 0, out.data());
  for (uint32_t code = 0; code < count; ++code) {
    if (!std::isfinite(made.values[code])) continue;  // refused when packing
    EXPECT_EQ(out[code], made.values[code]) << code;
    EXPECT_EQ(std::signbit(out[code]), std::signbit(made.values[code])) << code;
  }
}

INSTANTIATE_TEST_SUITE_P(Portable, KernelsTest, testing::ValuesIn(kAllFormats),
                         [](const auto& info) { return format_test_name(info.param); });

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
