#include "engine/logit_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "base/error.h"

namespace beryl::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<Candidate> sorted(const std::vector<float>& logits) {
  std::vector<Candidate> all;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] != -kInfinity) all.push_back({static_cast<int32_t>(i), logits[i]});
  }
  std::sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  });
  return all;
}

void expect_same(const std::vector<Candidate>& found, const std::vector<Candidate>& expected, size_t count) {
  ASSERT_EQ(found.size(), count);
  for (size_t i = 0; i < count; ++i) {
    ASSERT_EQ(found[i].token, expected[i].token) << i;
    ASSERT_EQ(found[i].logit, expected[i].logit) << i;
  }
}

// Sizes around the block size, and few distinct values so that ties abound.
TEST(LogitScanTest, FindsWhatAFullSortFinds) {
  std::mt19937 generator(1);
  for (const size_t vocab_size : {1U, 2U, 63U, 64U, 65U, 127U, 128U, 1000U, 10'007U}) {
    for (const int distinct : {1, 3, 100, 1'000'000}) {
      std::uniform_int_distribution<int> pick(-distinct, distinct);
      std::vector<float> logits(vocab_size);
      for (float& logit : logits) logit = static_cast<float>(pick(generator)) * 0.001F;
      for (size_t i = 1; i < vocab_size; i += 7) logits[i] = -kInfinity;
      const std::vector<Candidate> expected = sorted(logits);
      LogitScan scan;
      scan.scan(logits);
      EXPECT_EQ(scan.max(), expected[0].logit);
      EXPECT_EQ(scan.argmax(), expected[0].token);
      std::vector<Candidate> found;
      for (const size_t count :
           {size_t{1}, size_t{2}, size_t{16}, size_t{64}, size_t{500}, vocab_size, 2 * vocab_size}) {
        scan.find_top(count, -kInfinity, found);
        expect_same(found, expected, std::min(count, expected.size()));
      }
    }
  }
}

TEST(LogitScanTest, CutoffIsInclusiveAndKeepsTheOrderOfIds) {
  std::vector<float> logits(200, 0.0F);
  logits[150] = 3;
  logits[7] = 2;
  logits[199] = 2;
  logits[3] = 1.5F;
  LogitScan scan;
  scan.scan(logits);
  std::vector<Candidate> found;
  scan.find_at_least(2, found);
  expect_same(found, {{7, 2}, {150, 3}, {199, 2}}, 3);
  scan.find_top(10, 2, found);
  expect_same(found, {{150, 3}, {7, 2}, {199, 2}}, 3);
  scan.find_top(2, 0, found);
  expect_same(found, {{150, 3}, {7, 2}}, 2);
}

TEST(LogitScanTest, ANonFiniteLogitIsFoundWhereverItIs) {
  LogitScan scan;
  for (const float bad : {kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    for (size_t token = 0; token < 200; ++token) {
      std::vector<float> logits(200, 1.0F);
      logits[token] = bad;
      try {
        scan.scan(logits);
        FAIL() << "no error for token " << token;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kNumeric);
        EXPECT_NE(error.message().find("token " + std::to_string(token) + " is"), std::string::npos);
      }
    }
  }
  EXPECT_THROW(scan.scan(std::vector<float>(130, -kInfinity)), Error);
}

}  // namespace
}  // namespace beryl::engine
