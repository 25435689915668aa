#include "text/template/value_text.h"

#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <string>

namespace beryl::text {
namespace {

uint64_t splitmix(uint64_t index) {
  uint64_t z = index * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

double parse_number(const std::string& text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// 40,000 numbers: any bits, and short decimals of all magnitudes. The digest of their texts was made with
// Python's repr().
TEST(ValueText, PrintsFloatsAsPython) {
  std::string all;
  for (uint64_t i = 1; i <= 20'000; ++i) {
    all += float_text(std::bit_cast<double>(splitmix(i))) + "\n";
    const auto exponent = static_cast<int>(i % 45) - 22;
    all += float_text(parse_number(std::to_string(splitmix(i) % 100'000) + "e" + std::to_string(exponent))) +
           "\n";
  }
  all.pop_back();
  uint64_t digest = 0xcbf29ce484222325U;
  for (const char c : all) digest = (digest ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  EXPECT_EQ(digest, 0x4251ae60a5c44f90U);
}

TEST(ValueText, PrintsTheEdgesOfFloats) {
  EXPECT_EQ(float_text(0.0), "0.0");
  EXPECT_EQ(float_text(-0.0), "-0.0");
  EXPECT_EQ(float_text(20.0), "20.0");
  EXPECT_EQ(float_text(1e16), "1e+16");
  EXPECT_EQ(float_text(9999999999999998.0), "9999999999999998.0");
  EXPECT_EQ(float_text(0.0001), "0.0001");
  EXPECT_EQ(float_text(0.00001), "1e-05");
  EXPECT_EQ(float_text(5e-324), "5e-324");
  EXPECT_EQ(float_text(1.7976931348623157e308), "1.7976931348623157e+308");
}

}  // namespace
}  // namespace beryl::text
