#include "engine/sampling_params.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>

#include "base/error.h"

namespace beryl::engine {
namespace {

constexpr int32_t kVocabSize = 100;

std::string error_of(const std::function<void(SamplingParams&)>& change) {
  SamplingParams params;
  change(params);
  try {
    validate(params, kVocabSize);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    return error.message();
  }
  return "";
}

TEST(SamplingParamsTest, LimitsThemselvesAreAllowed) {
  EXPECT_EQ(error_of([](SamplingParams&) {}), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.temperature = 0; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.temperature = 2; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.top_k = -1; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.top_k = 2'000'000'000; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.top_p = 0; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.min_p = 1; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.repetition_penalty = 0.01F; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.repetition_penalty = 2; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.presence_penalty = -2; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.frequency_penalty = 2; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.logit_bias = {{0, -100}, {99, 100}}; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.suppressed_tokens = {0, 99}; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.top_logprobs = 20; }), "");
}

TEST(SamplingParamsTest, WhatIsBeyondThemIsNamedWithItsRange) {
  EXPECT_EQ(error_of([](SamplingParams& p) { p.temperature = 2.5F; }),
            "temperature is 2.5, expected a number from 0 to 2");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.temperature = -0.5F; }),
            "temperature is -0.5, expected a number from 0 to 2");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.temperature = std::nanf(""); }),
            "temperature is nan, expected a number from 0 to 2");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.top_k = -2; }),
            "top_k is -2, expected at least 1, or 0 or -1 for no limit");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.top_p = 1.25F; }),
            "top_p is 1.25, expected a number from 0 to 1");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.min_p = -1; }), "min_p is -1, expected a number from 0 to 1");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.repetition_penalty = 0; }),
            "repetition_penalty is 0, expected a number from 0.01 to 2");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.presence_penalty = 3; }),
            "presence_penalty is 3, expected a number from -2 to 2");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.frequency_penalty = INFINITY; }),
            "frequency_penalty is inf, expected a number from -2 to 2");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.logit_bias = {{100, 1}}; }),
            "logit_bias names token 100, expected 0 to 99");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.logit_bias = {{7, 101}}; }),
            "logit_bias of token 7 is 101, expected a number from -100 to 100");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.logit_bias = {{7, 1}, {7, 2}}; }),
            "logit_bias names token 7 twice, expected once");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.logit_bias.resize(1025); }),
            "logit_bias has 1025 entries, expected at most 1024");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.suppressed_tokens = {-1}; }),
            "suppress_tokens names token -1, expected 0 to 99");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.top_logprobs = 21; }), "top_logprobs is 21, expected 0 to 20");
}

}  // namespace
}  // namespace beryl::engine
