#include "backend/cpu/routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "backend/cpu/packed_for_tests.h"

namespace beryl::backend {
namespace {

using testing::ElementsAre;

const std::vector<float> kOnes(6, 1.0F);

CpuRouting choose(const std::vector<float>& logits, const std::vector<float>& scales, int64_t top_k,
                  const std::vector<int32_t>& forced = {}) {
  CpuRouting routing;
  ThreadPool pool(2);
  choose_experts({.logits = logits, .per_expert_scale = scales, .top_k = top_k, .forced = forced}, pool,
                 routing);
  return routing;
}

TEST(RoutingTest, TakesTheLargestInDescendingOrder) {
  const CpuRouting routing = choose({0, 3, 1, 2, -5, 2.5F, 9, 8, 7, 6, 5, 4}, kOnes, 3);
  EXPECT_THAT(routing.experts, ElementsAre(1, 5, 3, 0, 1, 2));
  EXPECT_EQ(routing.top_k, 3);
}

TEST(RoutingTest, TiesGoToTheLowerIndex) {
  EXPECT_THAT(choose({1, 1, 1, 1, 1, 1}, kOnes, 2).experts, ElementsAre(0, 1));
  EXPECT_THAT(choose({0, 2, 1, 2, 2, 1}, kOnes, 2).experts, ElementsAre(1, 3));
  EXPECT_THAT(choose({0.0F, -0.0F, -1, -1, -1, 0.0F}, kOnes, 3).experts, ElementsAre(0, 1, 5));
}

// Against the definition: softmax over all experts, divided by the sum over the chosen ones.
TEST(RoutingTest, WeightsAreRenormalisedBeforeTheExpertsScale) {
  constexpr int64_t kExperts = 16;
  constexpr int64_t kRows = 20;
  const std::vector<float> logits = random_floats(kRows * kExperts, 1);
  std::vector<float> scales = random_floats(kExperts, 2);
  for (const int64_t top_k : {1, 2, 8, 16}) {
    const CpuRouting plain = choose(logits, std::vector<float>(kExperts, 1.0F), top_k);
    const CpuRouting scaled = choose(logits, scales, top_k);
    EXPECT_EQ(plain.experts, scaled.experts);
    for (int64_t t = 0; t < kRows; ++t) {
      double all = 0;
      for (int64_t e = 0; e < kExperts; ++e)
        all += std::exp(double{logits[static_cast<size_t>(t * kExperts + e)]});
      double chosen = 0;
      double sum = 0;
      for (int64_t slot = t * top_k; slot < (t + 1) * top_k; ++slot) {
        const int32_t expert = plain.experts[static_cast<size_t>(slot)];
        chosen += std::exp(double{logits[static_cast<size_t>(t * kExperts + expert)]}) / all;
        sum += plain.weights[static_cast<size_t>(slot)];
      }
      EXPECT_NEAR(sum, 1, 1e-6);
      for (int64_t slot = t * top_k; slot < (t + 1) * top_k; ++slot) {
        const auto i = static_cast<size_t>(slot);
        const auto expert = static_cast<size_t>(plain.experts[i]);
        const double p = std::exp(double{logits[static_cast<size_t>(t * kExperts) + expert]}) / all;
        EXPECT_NEAR(plain.weights[i], p / chosen, 1e-6);
        // The scale changes neither the choice nor the other weights.
        EXPECT_NEAR(scaled.weights[i], p / chosen * scales[expert], 1e-6);
      }
    }
  }
}

TEST(RoutingTest, LargeLogitsDoNotOverflow) {
  const CpuRouting routing = choose({1000, 999, -1000, 0, 0, 0}, kOnes, 2);
  EXPECT_NEAR(routing.weights[0], 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(routing.weights[1], 1 / (1 + std::exp(1.0)), 1e-6);
}

TEST(RoutingTest, ForcedExpertsKeepTheirOrderAndGetTheirOwnWeights) {
  const CpuRouting routing = choose({0, 3, 1, 2, -5, 2.5F}, {1, 1, 2, 1, 10, 1}, 2, {4, 2});
  EXPECT_THAT(routing.experts, ElementsAre(4, 2));
  EXPECT_NEAR(routing.weights[0], 10 / (1 + std::exp(6.0)), 1e-6);
  EXPECT_NEAR(routing.weights[1], 2 / (1 + std::exp(-6.0)), 1e-6);
}

TEST(RoutingTest, NanChoosesDistinctExpertsAndShowsInTheWeights) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const std::vector<float>& logits :
       {std::vector<float>(6, kNan), std::vector<float>{kNan, 1, kNan, 0, kNan, 2}}) {
    CpuRouting routing = choose(logits, kOnes, 4);
    EXPECT_TRUE(std::isnan(routing.weights.back()));
    std::sort(routing.experts.begin(), routing.experts.end());
    EXPECT_EQ(std::adjacent_find(routing.experts.begin(), routing.experts.end()), routing.experts.end());
    EXPECT_GE(routing.experts.front(), 0);
    EXPECT_LT(routing.experts.back(), 6);
  }
  EXPECT_THAT(choose({kNan, 1, kNan, 0, kNan, 2}, kOnes, 2).experts, ElementsAre(5, 1));
}

TEST(RoutingTest, GroupsHoldEachSlotOnce) {
  CpuRouting routing;
  routing.top_k = 2;
  routing.experts = {3, 0, 0, 5, 3, 5, 3, 1};
  const ExpertGroups groups = group_by_expert(routing, 7);
  EXPECT_THAT(groups.slots, ElementsAre(1, 2, 7, 0, 4, 6, 3, 5));
  ASSERT_EQ(groups.groups.size(), 4U);
  const int32_t experts[] = {0, 1, 3, 5};
  const int64_t counts[] = {2, 1, 3, 2};
  int64_t begin = 0;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(groups.groups[i].expert, experts[i]);
    EXPECT_EQ(groups.groups[i].begin, begin);
    EXPECT_EQ(groups.groups[i].count, counts[i]);
    begin += counts[i];
  }
}

TEST(RoutingTest, NoRowsGiveNoGroups) {
  CpuRouting routing;
  routing.top_k = 2;
  EXPECT_TRUE(group_by_expert(routing, 4).groups.empty());
}

}  // namespace
}  // namespace beryl::backend
