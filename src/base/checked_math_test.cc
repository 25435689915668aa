#include "base/checked_math.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace beryl {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST(CheckedMathTest, SumsAndProductsThatDoNotFitAreAbsent) {
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_add(kMax, 1), std::nullopt);
  EXPECT_EQ(checked_mul(kMax, 1), kMax);
  EXPECT_EQ(checked_mul(kMax, 0), 0U);
  EXPECT_EQ(checked_mul(uint64_t{1} << 32, uint64_t{1} << 31), uint64_t{1} << 63);
  EXPECT_EQ(checked_mul(uint64_t{1} << 32, uint64_t{1} << 32), std::nullopt);
}

TEST(CheckedMathTest, ElementCount) {
  EXPECT_EQ(element_count({}), 1U);
  EXPECT_EQ(element_count(std::vector<int64_t>{3, 4, 5}), 60U);
  EXPECT_EQ(element_count(std::vector<int64_t>{3, 0, 5}), 0U);
  EXPECT_EQ(element_count(std::vector<int64_t>{3, -1}), std::nullopt);
  EXPECT_EQ(element_count(std::vector<int64_t>{std::numeric_limits<int64_t>::max()}),
            uint64_t{std::numeric_limits<int64_t>::max()});
  EXPECT_EQ(element_count(std::vector<int64_t>{int64_t{1} << 31, int64_t{1} << 32}), std::nullopt);
  // A zero hides no absurd dimensions, on either side of them.
  EXPECT_EQ(element_count(std::vector<int64_t>{0, int64_t{1} << 40, int64_t{1} << 40}), std::nullopt);
  EXPECT_EQ(element_count(std::vector<int64_t>{int64_t{1} << 40, int64_t{1} << 40, 0}), std::nullopt);
}

}  // namespace
}  // namespace beryl
