// The definitions here are arithmetic (std::ldexp in double), not the bit shuffles under test.

#include "base/number_types.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace beryl {
namespace {

// The value of a code without infinities or NaN: sign, `exponent_bits` of exponent, `mantissa_bits` below.
double value_by_definition(uint32_t code, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const auto mantissa = static_cast<double>(code & ((1U << mantissa_bits) - 1));
  const int exponent = static_cast<int>((code >> mantissa_bits) & ((1U << exponent_bits) - 1));
  const double magnitude = exponent == 0
                               ? std::ldexp(mantissa, 1 - bias - mantissa_bits)
                               : std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
  return ((code >> (mantissa_bits + exponent_bits)) & 1U) != 0 ? -magnitude : magnitude;
}

// Equal as bits, so that the zeros differ.
void expect_same(float actual, double expected, uint32_t code) {
  EXPECT_EQ(double{actual}, expected) << "code " << code;
  EXPECT_EQ(std::signbit(actual), std::signbit(expected)) << "code " << code;
}

TEST(NumberTypesTest, EveryBf16Decodes) {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    const float value = bf16_to_float(static_cast<uint16_t>(code));
    if ((code & 0x7f80U) != 0x7f80U) {
      expect_same(value, value_by_definition(code, 8, 7), code);
    } else if ((code & 0x7fU) == 0) {
      expect_same(value, (code >> 15) != 0 ? -INFINITY : INFINITY, code);
    } else {
      EXPECT_TRUE(std::isnan(value)) << code;
    }
  }
}

TEST(NumberTypesTest, EveryF16Decodes) {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    const float value = f16_to_float(static_cast<uint16_t>(code));
    if ((code & 0x7c00U) != 0x7c00U) {
      expect_same(value, value_by_definition(code, 5, 10), code);
    } else if ((code & 0x3ffU) == 0) {
      expect_same(value, (code >> 15) != 0 ? -INFINITY : INFINITY, code);
    } else {
      EXPECT_TRUE(std::isnan(value)) << code;
    }
  }
}

TEST(NumberTypesTest, EveryE4m3Decodes) {
  for (uint32_t code = 0; code < 0x100; ++code) {
    const float value = e4m3_to_float(static_cast<uint8_t>(code));
    if ((code & 0x7fU) == 0x7f) {
      EXPECT_TRUE(std::isnan(value)) << code;
      EXPECT_TRUE(std::isnan(kE4m3Values[code])) << code;
      continue;
    }
    expect_same(value, value_by_definition(code, 4, 3), code);
    expect_same(kE4m3Values[code], value_by_definition(code, 4, 3), code);
  }
  EXPECT_EQ(e4m3_to_float(0x7e), 448.0F);
}

TEST(NumberTypesTest, EveryBf16SurvivesEncoding) {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    const float value = bf16_to_float(static_cast<uint16_t>(code));
    if (std::isnan(value)) continue;
    EXPECT_EQ(float_to_bf16(value), code);
    EXPECT_EQ(round_to_bf16(value), value);
  }
}

// Between any two neighbours: the middle goes to the even one, its float32 neighbours to the nearer one.
TEST(NumberTypesTest, EncodingBf16RoundsToNearestTiesToEven) {
  for (uint32_t lower = 0; lower < 0x7f80; ++lower) {
    const uint32_t upper = lower + 1;
    // The value after the largest is taken as 2^128, as IEEE 754 does to decide on overflow.
    const double middle = (value_by_definition(lower, 8, 7) + value_by_definition(upper, 8, 7)) / 2;
    const auto tie = static_cast<float>(middle);
    ASSERT_EQ(double{tie}, middle);
    const uint32_t even = lower % 2 == 0 ? lower : upper;
    for (const uint32_t sign : {0U, 0x8000U}) {
      const float signed_tie = sign != 0 ? -tie : tie;
      EXPECT_EQ(float_to_bf16(signed_tie), sign | even);
      EXPECT_EQ(float_to_bf16(std::nextafter(signed_tie, 0.0F)), sign | lower);
      EXPECT_EQ(float_to_bf16(std::nextafter(signed_tie, sign != 0 ? -INFINITY : INFINITY)), sign | upper);
    }
  }
}

TEST(NumberTypesTest, EncodingKeepsNanAndItsSign) {
  for (const uint32_t sign : {0U, 0x80000000U}) {
    for (uint32_t payload = 1; payload < 0x800000U; payload += payload < 0x20000U ? 1 : 4099) {
      const uint16_t code = float_to_bf16(std::bit_cast<float>(sign | 0x7f800000U | payload));
      ASSERT_TRUE(std::isnan(bf16_to_float(code))) << payload;
      ASSERT_EQ(code >> 15, sign >> 31);
    }
  }
  EXPECT_EQ(float_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(float_to_bf16(std::numeric_limits<float>::infinity()), 0x7f80);
}

}  // namespace
}  // namespace beryl
