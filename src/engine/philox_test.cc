#include "engine/philox.h"

#include <gtest/gtest.h>

#include <set>

namespace beryl::engine {
namespace {

// The known-answer vectors that its authors publish with Random123 1.14 (tests/kat_vectors).
TEST(PhiloxTest, GivesTheKnownAnswers) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PhiloxTest, UniformIsBuiltFromTheFirstTwoWords) {
  // (0xe169c58d6627e8d5 >> 11) / 2^53, from the first known answer.
  EXPECT_EQ(uniform_at(0, 0, 0), static_cast<double>(0xe169c58d6627e8d5ULL >> 11) * 0x1p-53);
}

TEST(PhiloxTest, EachBitOfSeedSampleAndPositionMatters) {
  std::set<double> seen{uniform_at(0, 0, 0)};
  size_t expected = 1;
  for (int bit = 0; bit < 64; ++bit) {
    seen.insert(uniform_at(1ULL << bit, 0, 0));
    seen.insert(uniform_at(0, 0, 1ULL << bit));
    expected += 2;
  }
  for (int bit = 0; bit < 32; ++bit) {
    seen.insert(uniform_at(0, 1U << bit, 0));
    ++expected;
  }
  EXPECT_EQ(seen.size(), expected);
}

TEST(PhiloxTest, UniformStaysInRangeAndHasTheRightMoments) {
  constexpr int kDraws = 1'000'000;
  double sum = 0;
  double sum_of_squares = 0;
  for (uint64_t position = 0; position < kDraws; ++position) {
    const double u = uniform_at(7, 3, position);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    sum_of_squares += u * u;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * 0.289 / 1000);                 // five standard errors
  EXPECT_NEAR(sum_of_squares / kDraws, 1.0 / 3, 5 * 0.299 / 1000);  // likewise
}

}  // namespace
}  // namespace beryl::engine
