#include "server/finish_rate.h"

#include <gtest/gtest.h>

namespace beryl::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const FinishRate::TimePoint kStart(seconds(1'000));

TEST(FinishRateTest, GuessesBeforeAnythingHasEnded) {
  FinishRate rate;
  EXPECT_EQ(rate.retry_after(100, kStart), 5);
  rate.add_finish(kStart);
  EXPECT_EQ(rate.retry_after(100, kStart), 5);
}

TEST(FinishRateTest, IsTheTimeForHalfOfTheQueue) {
  FinishRate rate;
  for (int i = 0; i <= 10; ++i) rate.add_finish(kStart + milliseconds(500 * i));  // two a second
  const auto now = kStart + seconds(5);
  EXPECT_EQ(rate.retry_after(40, now), 10);
  EXPECT_EQ(rate.retry_after(41, now), 11);
  EXPECT_EQ(rate.retry_after(0, now), 1);
  EXPECT_EQ(rate.retry_after(1'000'000, now), 60);
}

TEST(FinishRateTest, CountsTheTimeSinceTheLastOne) {
  FinishRate rate;
  for (int i = 0; i <= 10; ++i) rate.add_finish(kStart + milliseconds(500 * i));
  EXPECT_EQ(rate.retry_after(40, kStart + seconds(10)), 20);
}

TEST(FinishRateTest, ForgetsWhatWasLongAgo) {
  FinishRate rate;
  rate.add_finish(kStart);
  const auto later = kStart + seconds(3'600);
  for (int i = 0; i < 64; ++i) rate.add_finish(later + seconds(i));  // one a second
  EXPECT_EQ(rate.retry_after(20, later + seconds(63)), 10);
}

TEST(FinishRateTest, ManyAtOnceAreNoDivisionByZero) {
  FinishRate rate;
  for (int i = 0; i < 5; ++i) rate.add_finish(kStart);
  EXPECT_EQ(rate.retry_after(100, kStart), 1);
}

}  // namespace
}  // namespace beryl::server
