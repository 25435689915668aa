#include "engine/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace beryl::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(LogprobsTest, ProbabilitiesOfAWholeRowSumToOne) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0, 5);
  std::vector<float> logits(10'000);
  for (float& logit : logits) logit = normal(generator);
  LogitScan scan;
  scan.scan(logits);
  const Logprobs logprobs(scan);
  double sum = 0;
  for (int32_t token = 0; token < 10'000; ++token) sum += std::exp(logprobs.of(token));
  EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(LogprobsTest, KnownProbabilities) {
  const std::vector<float> logits{0, std::log(2.0F), 0, -kInfinity};  // 1/4, 1/2, 1/4, 0
  LogitScan scan;
  scan.scan(logits);
  const Logprobs logprobs(scan);
  EXPECT_NEAR(logprobs.of(0), std::log(0.25), 1e-7);
  EXPECT_NEAR(logprobs.of(1), std::log(0.5), 1e-7);
  EXPECT_EQ(logprobs.of(3), -std::numeric_limits<double>::infinity());
  const std::vector<TokenLogprob> top = logprobs.top(20);
  ASSERT_EQ(top.size(), 3U);
  EXPECT_EQ(top[0].token, 1);
  EXPECT_EQ(top[1].token, 0);  // before token 2, which is equally likely
  EXPECT_EQ(top[2].token, 2);
  EXPECT_EQ(top[1].logprob, logprobs.of(0));
  EXPECT_TRUE(logprobs.top(0).empty());
}

TEST(LogprobsTest, LargeLogitsDoNotOverflow) {
  const std::vector<float> logits{3e38F, 3e38F, -3e38F};
  LogitScan scan;
  scan.scan(logits);
  const Logprobs logprobs(scan);
  EXPECT_EQ(logprobs.of(0), 0);  // log(2) is below the precision of such a logit
  EXPECT_TRUE(std::isfinite(logprobs.of(2)));
}

}  // namespace
}  // namespace beryl::engine
