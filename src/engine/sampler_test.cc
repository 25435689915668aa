#include "engine/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "base/error.h"

namespace beryl::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Logits with a spread as of a real model, some of them equal.
std::vector<float> make_logits(size_t vocab_size, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(vocab_size);
  for (float& logit : logits) logit = std::round(normal(generator) * 16) / 16;
  return logits;
}

// The probability of every token, written from the contract in sampler.h with full sorts and nothing clever.
std::vector<double> reference_probabilities(const SampleInput& input) {
  const SamplingParams& params = input.params;
  std::vector<float> logits(input.logits.begin(), input.logits.end());
  input.history.penalise(params, logits);
  for (const LogitBias& entry : params.logit_bias) logits[static_cast<size_t>(entry.token)] += entry.bias;
  for (const int32_t token : params.suppressed_tokens) logits[static_cast<size_t>(token)] = -kInfinity;
  for (size_t token = 0; token < logits.size(); ++token) {
    if (input.mask != nullptr && !input.mask->allows(static_cast<int32_t>(token))) logits[token] = -kInfinity;
  }
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); });

  std::vector<double> weights(logits.size());
  for (size_t token = 0; token < logits.size(); ++token) {
    weights[token] = std::exp((double{logits[token]} - logits[order[0]]) / params.temperature);
    if (weights[token] < params.min_p) weights[token] = 0;
  }
  if (params.top_k > 0) {
    for (size_t rank = static_cast<size_t>(params.top_k); rank < order.size(); ++rank)
      weights[order[rank]] = 0;
  }
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double before = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    const double weight = weights[order[rank]];
    if (rank > 0 && before >= params.top_p * total) weights[order[rank]] = 0;
    before += weight;
  }
  total = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= total;
  return weights;
}

// Draws `draws` tokens at successive positions, and returns how improbable (as a two-sided standard normal
// deviate, by Wilson and Hilferty) the chi-square statistic against `expected` is. Fails when an impossible
// token comes.
double chi_square_deviate(const SampleInput& input, const std::vector<double>& expected, uint64_t draws) {
  std::vector<uint64_t> counts(expected.size());
  Sampler sampler;
  SampleInput at = input;
  for (at.position = 0; at.position < draws; ++at.position) {
    ++counts[static_cast<size_t>(sampler.sample(at).token)];
  }
  double statistic = 0;
  double rare_expected = 0;  // tokens expected fewer than ten times are counted as one
  double rare_count = 0;
  double cells = 0;
  const auto add_cell = [&](double count, double mean) {
    statistic += (count - mean) * (count - mean) / mean;
    cells += 1;
  };
  for (size_t token = 0; token < expected.size(); ++token) {
    const double mean = expected[token] * static_cast<double>(draws);
    if (mean == 0) {
      EXPECT_EQ(counts[token], 0U) << "token " << token << " cannot be chosen";
    } else if (mean < 10) {
      rare_expected += mean;
      rare_count += static_cast<double>(counts[token]);
    } else {
      add_cell(static_cast<double>(counts[token]), mean);
    }
  }
  if (rare_expected > 5) add_cell(rare_count, rare_expected);
  const double freedom = cells - 1;
  if (freedom < 1) return 0;
  const double spread = 2 / (9 * freedom);
  return (std::cbrt(statistic / freedom) - (1 - spread)) / std::sqrt(spread);
}

struct Setting {
  const char* name;
  SamplingParams params;
};

std::vector<Setting> settings() {
  return {
      {"plain", {.seed = 1}},
      {"cold", {.temperature = 0.5F, .seed = 2}},
      {"hot", {.temperature = 2, .seed = 3}},
      {"top_k", {.top_k = 20, .seed = 4}},
      {"top_k_beyond_the_vocabulary", {.top_k = 100'000, .seed = 5}},
      {"top_p", {.top_p = 0.7F, .seed = 6}},
      {"top_p_high", {.top_p = 0.9999F, .seed = 7}},
      {"min_p", {.min_p = 0.1F, .seed = 8}},
      {"gemma", {.top_k = 64, .top_p = 0.95F, .seed = 9}},
      {"all_limits", {.temperature = 1.3F, .top_k = 40, .top_p = 0.9F, .min_p = 0.02F, .seed = 10}},
      {"penalties",
       {.repetition_penalty = 1.3F, .presence_penalty = 0.7F, .frequency_penalty = -0.4F, .seed = 11}},
      {"bias_and_suppression",
       {.top_p = 0.9F, .logit_bias = {{5, 6.0F}, {6, -100.0F}}, .suppressed_tokens = {0, 9}, .seed = 12}},
  };
}

class SamplerSettingsTest : public ::testing::TestWithParam<Setting> {};

INSTANTIATE_TEST_SUITE_P(Each, SamplerSettingsTest, ::testing::ValuesIn(settings()),
                         [](const auto& setting) { return std::string(setting.param.name); });

// With a million draws a probability that is off by 1 % in a likely token moves the deviate by more than ten.
// |deviate| < 4 has p = 6e-5 per setting if the draws are right; the seeds are fixed, so the outcome is too.
TEST_P(SamplerSettingsTest, MillionDrawsFollowTheReference) {
  const std::vector<float> logits = make_logits(80, 42);
  TokenHistory history;
  history.add_prompt(std::vector<int32_t>{1, 2, 3, 5, 7});
  for (const int32_t token : {3, 3, 5, 11, 13, 11, 11}) history.add_output(token);
  const SampleInput input{.logits = logits, .params = GetParam().params, .history = history};
  EXPECT_LT(std::abs(chi_square_deviate(input, reference_probabilities(input), 1'000'000)), 4);
}

// Large vocabularies take the same paths with many blocks; compare what can be chosen, not how often.
TEST_P(SamplerSettingsTest, LargeVocabularyChoosesOnlyWhatTheReferenceAllows) {
  const std::vector<float> logits = make_logits(50'003, 44);
  const TokenHistory history;
  const SampleInput input{.logits = logits, .params = GetParam().params, .history = history};
  const std::vector<double> expected = reference_probabilities(input);
  Sampler sampler;
  SampleInput at = input;
  for (at.position = 0; at.position < 300; ++at.position) {
    const int32_t token = sampler.sample(at).token;
    ASSERT_GT(expected[static_cast<size_t>(token)], 0) << "token " << token;
  }
}

// Nuclei of hundreds of tokens, whose end is not among the first that are looked at.
TEST(SamplerTest, WideNucleiFollowTheReference) {
  const std::vector<float> logits = make_logits(1500, 46);
  const TokenHistory history;
  for (const float top_p : {0.85F, 0.97F, 0.995F}) {
    const SamplingParams params{.temperature = 2, .top_p = top_p, .seed = 30};
    const SampleInput input{.logits = logits, .params = params, .history = history};
    const std::vector<double> expected = reference_probabilities(input);
    EXPECT_GT(std::count_if(expected.begin(), expected.end(), [](double p) { return p > 0; }), 300);
    EXPECT_LT(std::abs(chi_square_deviate(input, expected, 60'000)), 4) << top_p;
  }
}

TEST(SamplerTest, MaskedDrawsFollowTheReference) {
  const std::vector<float> logits = make_logits(80, 43);
  TokenMask mask(80);
  for (int32_t token = 0; token < 80; token += 3) mask.allow(token);
  const SamplingParams params{.top_p = 0.8F, .seed = 20};
  const TokenHistory history;
  const SampleInput input{.logits = logits, .params = params, .history = history, .mask = &mask};
  EXPECT_LT(std::abs(chi_square_deviate(input, reference_probabilities(input), 1'000'000)), 4);
}

class SamplerOnSmallRow : public ::testing::Test {
 protected:
  int32_t choose(const SamplingParams& params, const std::vector<float>& logits, uint64_t position = 0) {
    return sampler_.sample({.logits = logits, .params = params, .history = history_, .position = position})
        .token;
  }
  std::string error_of(const SamplingParams& params, const std::vector<float>& logits,
                       const TokenMask* mask = nullptr) {
    try {
      sampler_.sample(
          {.logits = logits, .params = params, .history = history_, .position = 17, .mask = mask});
    } catch (const Error& error) {
      return error.message();
    }
    return "no error";
  }

  TokenHistory history_;
  Sampler sampler_;
};

TEST_F(SamplerOnSmallRow, TemperatureZeroTakesTheLargestAndTheLowerIdOfEqualOnes) {
  EXPECT_EQ(choose({.temperature = 0}, {1, 3, 2}), 1);
  EXPECT_EQ(choose({.temperature = 0}, {1, 3, 3, 3}), 1);
  EXPECT_EQ(choose({.temperature = 0}, {-kInfinity, -5, -kInfinity}), 1);
  std::vector<float> logits(1000, 0.5F);
  logits[130] = logits[999] = 2;
  EXPECT_EQ(choose({.temperature = 0}, logits), 130);
}

TEST_F(SamplerOnSmallRow, TopKOneAndTopPZeroAreGreedy) {
  for (uint64_t position = 0; position < 100; ++position) {
    EXPECT_EQ(choose({.top_k = 1}, {1, 3, 3, 2}, position), 1);
    EXPECT_EQ(choose({.top_p = 0}, {1, 3, 3, 2}, position), 1);
    EXPECT_EQ(choose({.top_p = 1e-45F}, {1, 3, 3, 2}, position), 1);
    EXPECT_EQ(choose({.temperature = 1e-45F}, {1, 3, 2.999F, 2}, position), 1);
    EXPECT_EQ(choose({.temperature = 1e-30F, .top_p = 0.5F, .min_p = 0.5F}, {1, 3, 2.999F, 2}, position), 1);
  }
}

TEST_F(SamplerOnSmallRow, TiesAtTheEdgeOfTopKGoToTheLowerIds) {
  std::vector<float> logits(200, 1.0F);
  logits[150] = 2;
  for (uint64_t position = 0; position < 2000; ++position) {
    const int32_t token = choose({.top_k = 3}, logits, position);
    EXPECT_TRUE(token == 0 || token == 1 || token == 150) << token;
  }
}

TEST_F(SamplerOnSmallRow, TopPKeepsTheTokenThatReachesTheLimit) {
  // Probabilities 0.5, 0.25, 0.125, 0.125.
  const std::vector<float> logits{std::log(4.0F), std::log(2.0F), 0, 0};
  const auto largest = [&](float top_p) {
    int32_t result = 0;
    for (uint64_t position = 0; position < 500; ++position) {
      result = std::max(result, choose({.top_p = top_p}, logits, position));
    }
    return result;
  };
  EXPECT_EQ(largest(0.49F), 0);
  EXPECT_EQ(largest(0.51F), 1);
  EXPECT_EQ(largest(0.76F), 2);
  EXPECT_EQ(largest(0.88F), 3);
}

TEST_F(SamplerOnSmallRow, MinPOneKeepsOnlyTheLargest) {
  for (uint64_t position = 0; position < 200; ++position) {
    const int32_t token = choose({.min_p = 1}, {3, 3, 2.9999F}, position);
    EXPECT_TRUE(token == 0 || token == 1);
  }
}

TEST_F(SamplerOnSmallRow, SuppressedTokensAreNeverChosenEvenGreedily) {
  EXPECT_EQ(choose({.temperature = 0, .suppressed_tokens = {1, 2}}, {1, 9, 8}), 0);
  EXPECT_EQ(choose({.temperature = 0, .logit_bias = {{1, 100}}, .suppressed_tokens = {1}}, {1, 9, 8}), 2);
}

TEST_F(SamplerOnSmallRow, DrawsDependOnlyOnSeedSampleAndPosition) {
  const std::vector<float> logits = make_logits(500, 45);
  const SamplingParams params{.top_k = 50, .seed = 77};
  std::vector<int32_t> forward;
  std::vector<int32_t> backward(100);
  for (uint64_t i = 0; i < 100; ++i) forward.push_back(choose(params, logits, i));
  Sampler other;
  for (uint64_t i = 100; i-- > 0;) {
    // Draws of other requests in between change nothing.
    other.sample({.logits = logits, .params = {.seed = 5}, .history = history_, .position = i});
    backward[i] =
        other.sample({.logits = logits, .params = params, .history = history_, .position = i}).token;
  }
  EXPECT_EQ(forward, backward);

  std::vector<int32_t> other_seed;
  std::vector<int32_t> other_sample;
  SamplingParams reseeded = params;
  reseeded.seed = 78;
  for (uint64_t i = 0; i < 100; ++i) {
    other_seed.push_back(choose(reseeded, logits, i));
    const SampleInput second{
        .logits = logits, .params = params, .history = history_, .position = i, .sample_index = 1};
    other_sample.push_back(sampler_.sample(second).token);
  }
  EXPECT_NE(forward, other_seed);
  EXPECT_NE(forward, other_sample);
}

TEST_F(SamplerOnSmallRow, LogprobsComeFromTheLogitsAsGiven) {
  history_.add_output(0);
  const SamplingParams params{.temperature = 0,
                              .presence_penalty = 2,
                              .logit_bias = {{1, 50}},
                              .suppressed_tokens = {3},
                              .top_logprobs = 3};
  const std::vector<float> logits{std::log(4.0F), 0, std::log(2.0F), std::log(9.0F)};
  const Sample sample = sampler_.sample({.logits = logits, .params = params, .history = history_});
  EXPECT_EQ(sample.token, 1);
  EXPECT_NEAR(*sample.logprob, std::log(1.0 / 16), 1e-6);
  ASSERT_EQ(sample.top_logprobs.size(), 3U);
  EXPECT_EQ(sample.top_logprobs[0].token, 3);
  EXPECT_NEAR(sample.top_logprobs[0].logprob, std::log(9.0 / 16), 1e-6);
  EXPECT_EQ(sample.top_logprobs[1].token, 0);
  EXPECT_EQ(sample.top_logprobs[2].token, 2);
}

TEST_F(SamplerOnSmallRow, NoLogprobsUnlessAskedFor) {
  const std::vector<float> logits{1, 2};
  const SamplingParams params;
  const Sample sample = sampler_.sample({.logits = logits, .params = params, .history = history_});
  EXPECT_FALSE(sample.logprob);
  EXPECT_TRUE(sample.top_logprobs.empty());
}

TEST_F(SamplerOnSmallRow, NonFiniteLogitsAreNamedWithTokenAndPosition) {
  EXPECT_EQ(error_of({}, {1, std::nanf(""), 2}),
            "choosing the token at position 17: the logit of token 1 is nan, expected a finite number");
  EXPECT_THAT(error_of({.temperature = 0}, {1, 2, kInfinity}), HasSubstr("token 2 is inf"));
  EXPECT_THAT(error_of({}, {-kInfinity, -kInfinity}), HasSubstr("every logit is -inf"));
  // A mask does not hide a broken model.
  TokenMask mask(3);
  mask.allow(0);
  EXPECT_THAT(error_of({}, {1, std::nanf(""), 2}, &mask), HasSubstr("token 1 is nan"));
}

TEST_F(SamplerOnSmallRow, NothingLeftToChooseIsAnError) {
  TokenMask mask(3);
  EXPECT_THAT(error_of({}, {1, 2, 3}, &mask), HasSubstr("leave no token"));
  mask.allow(1);
  EXPECT_EQ(error_of({}, {1, 2, 3}, &mask), "no error");
  EXPECT_THAT(error_of({.suppressed_tokens = {1}}, {1, 2, 3}, &mask), HasSubstr("leave no token"));
}

}  // namespace
}  // namespace beryl::engine
