#include "engine/generation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/scripted_model_for_tests.h"

namespace beryl::engine {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;

using Tokens = std::vector<int32_t>;

constexpr int32_t kVocabulary = 64;
constexpr int32_t kEnd = 60;
constexpr int32_t kOtherEnd = 61;

class GenerationTest : public testing::Test {
 protected:
  GenerationTest() {
    options.sampling.temperature = 0;
    options.new_tokens_max = 8;
    options.end_tokens = {kEnd, kOtherEnd};
  }

  SampleResult run(Engine& on, const Tokens& prompt) {
    received.clear();
    model.backend.fed.clear();
    return generate(on, prompt, options, [this](int32_t token) {
      received.push_back(token);
      return token != last_wanted;
    });
  }
  // On an engine of its own.
  SampleResult run(const Tokens& prompt) { return run(model.run_engine(100)->engine, prompt); }

  Error error_of(Engine& on, const Tokens& prompt) {
    try {
      run(on, prompt);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "no error";
    return {ErrorCode::kUnsupported, "none"};
  }

  ScriptedModel model{kVocabulary};
  GenerationOptions options;
  Tokens received;           // by on_token
  int32_t last_wanted = -1;  // on_token has enough after this one
};

TEST_F(GenerationTest, EndsBeforeAnyEndToken) {
  for (const int32_t end : {kEnd, kOtherEnd}) {
    model.answer_with({7, 8, 7, end});
    const SampleResult result = run({1, 2, 3});
    EXPECT_THAT(result.tokens, ElementsAre(7, 8, 7));
    EXPECT_EQ(received, result.tokens);
    EXPECT_EQ(result.finish_reason, FinishReason::kStop);
    EXPECT_EQ(result.prompt_tokens, 3);
    EXPECT_EQ(result.cached_tokens, 0);
    EXPECT_THAT(model.backend.fed, ElementsAre(1, 2, 3, 7, 8, 7));
    EXPECT_EQ(result.end_token, end);
  }
}

TEST_F(GenerationTest, EndsAtTheLimitOfNewTokens) {
  options.new_tokens_max = 3;
  model.answer_with({7, 8, 9});  // no fourth is asked for
  const SampleResult result = run({1, 2});
  EXPECT_THAT(result.tokens, ElementsAre(7, 8, 9));
  EXPECT_EQ(result.finish_reason, FinishReason::kLength);
  EXPECT_THAT(model.backend.fed, ElementsAre(1, 2, 7, 8));  // the last is chosen but not fed
}

TEST_F(GenerationTest, MayBeAskedForNoTokens) {
  options.new_tokens_max = 0;
  const SampleResult result = run({1, 2});
  EXPECT_THAT(result.tokens, IsEmpty());
  EXPECT_EQ(result.finish_reason, FinishReason::kLength);
  EXPECT_EQ(result.prompt_tokens, 2);
}

TEST_F(GenerationTest, EndsWhenTheContextIsFull) {
  model.answer_with({7, 8, 9, 10, 11});
  const SampleResult result = run(model.run_engine(5)->engine, {1, 2, 3});
  EXPECT_THAT(result.tokens, ElementsAre(7, 8));
  EXPECT_EQ(result.finish_reason, FinishReason::kLength);
}

TEST_F(GenerationTest, EndsWhenTheReceiverHasEnough) {
  model.answer_with({7, 8, 9});
  last_wanted = 8;
  const SampleResult result = run({1});
  EXPECT_THAT(result.tokens, ElementsAre(7, 8));
  EXPECT_EQ(result.finish_reason, FinishReason::kStop);
}

TEST_F(GenerationTest, FeedsOnlyWhatIsNotRemembered) {
  const auto running = model.run_engine(100);
  model.answer_with({7, 8, kEnd});
  run(running->engine, {1, 2, 3});

  // The next turn of the same conversation.
  model.answer_with({9, kEnd});
  const SampleResult next = run(running->engine, {1, 2, 3, 7, 8, 4, 5});
  EXPECT_EQ(next.cached_tokens, 5);
  EXPECT_EQ(next.prompt_tokens, 2);
  EXPECT_THAT(model.backend.fed, ElementsAre(4, 5, 9));

  // Another conversation with the same beginning.
  model.answer_with({kEnd});
  const SampleResult other = run(running->engine, {1, 2, 20, 21, 22});
  EXPECT_EQ(other.cached_tokens, 2);
  EXPECT_EQ(other.prompt_tokens, 3);

  // The same again, and a part of it: the last token has to be fed for its logits.
  for (const Tokens& prompt : {Tokens{1, 2, 20, 21, 22}, Tokens{1, 2, 20}}) {
    model.answer_with({kEnd});
    const SampleResult again = run(running->engine, prompt);
    EXPECT_EQ(again.cached_tokens, static_cast<int64_t>(prompt.size()) - 1);
    EXPECT_EQ(again.prompt_tokens, 1);
    EXPECT_THAT(model.backend.fed, ElementsAre(prompt.back()));
  }

  // Nothing in common.
  model.answer_with({kEnd});
  EXPECT_EQ(run(running->engine, {2, 1}).cached_tokens, 0);
}

TEST_F(GenerationTest, RemembersWhereTheNextTurnWillPart) {
  const auto running = model.run_engine(100);
  options.snapshot_positions = {3};
  model.answer_with({kEnd});
  run(running->engine, {1, 2, 3, 4, 5, 6});
  model.answer_with({kEnd});
  EXPECT_EQ(run(running->engine, {1, 2, 3, 9, 9}).cached_tokens, 3);
}

TEST_F(GenerationTest, RefusesAnEmptyPrompt) {
  const Error error = error_of(model.run_engine(100)->engine, {});
  EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
  EXPECT_THAT(error.message(), HasSubstr("prompt is empty"));
}

// Before any work, with both numbers.
TEST_F(GenerationTest, RefusesAPromptThatIsLongerThanTheContext) {
  const Error error = error_of(model.run_engine(300)->engine, Tokens(1000, 5));
  EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
  EXPECT_THAT(error.message(), HasSubstr("1000 tokens, but there is room for 299"));
  EXPECT_FALSE(error.help().empty());
  EXPECT_THAT(model.backend.fed, IsEmpty());
}

TEST_F(GenerationTest, NoticesACancelWhileItWaits) {
  // Goes on until it is told to stop.
  options.new_tokens_max = 1'000'000;
  options.end_tokens = {};
  std::atomic<int> asked = 0;
  options.should_cancel = [&] { return ++asked > 1; };
  const auto running = model.run_engine(1'000'000);
  const SampleResult result = generate(running->engine, Tokens{1}, options, [](int32_t) { return true; });
  EXPECT_EQ(result.finish_reason, FinishReason::kCancelled);
}

TEST_F(GenerationTest, PassesOnWhatTheReceiverThrows) {
  const auto running = model.run_engine(100);
  const auto refuse = [](int32_t) -> bool { throw Error(ErrorCode::kIo, "the pipe is closed"); };
  EXPECT_THROW(generate(running->engine, Tokens{1}, options, refuse), Error);
  model.answer_with({kEnd});
  EXPECT_EQ(run(running->engine, {1}).finish_reason, FinishReason::kStop);  // the engine goes on
}

TEST_F(GenerationTest, PassesOnLogitsThatAreNotFinite) {
  model.backend.predict = [](int32_t token, std::span<float> logits) {
    logits[static_cast<size_t>(token) + 1] = 1;
    if (token == 12) logits[0] = std::numeric_limits<float>::quiet_NaN();
  };
  const Error error = error_of(model.run_engine(100)->engine, {1, 2, 10});
  EXPECT_EQ(error.code(), ErrorCode::kNumeric);
  EXPECT_THAT(error.message(), HasSubstr("after token 4 of the text"));  // 1 2 10 11 12
  EXPECT_THAT(received, ElementsAre(11, 12));
}

// ---- Sampling. Where logits are the same at every step: token 3 has 2, token 4 has 1.5, others 0. ----

class SampledGenerationTest : public GenerationTest {
 protected:
  SampledGenerationTest() {
    options.new_tokens_max = 5;
    model.backend.predict = [](int32_t, std::span<float> logits) {
      logits[3] = 2;
      logits[4] = 1.5;
    };
  }
};

TEST_F(SampledGenerationTest, WithoutPenaltiesTakesTheMostLikely) {
  EXPECT_THAT(run({1, 3}).tokens, ElementsAre(3, 3, 3, 3, 3));
}

TEST_F(SampledGenerationTest, RepetitionPenaltyCountsThePromptAlsoWhereItIsCached) {
  options.sampling.repetition_penalty = 2;
  const auto running = model.run_engine(100);
  // 3 has 1 from the start; 4 falls to 0.75.
  EXPECT_THAT(run(running->engine, {3, 1, 2}).tokens, ElementsAre(4, 3, 3, 3, 3));
  const SampleResult cached = run(running->engine, {3, 1, 2});
  EXPECT_EQ(cached.cached_tokens, 2);
  EXPECT_THAT(cached.tokens, ElementsAre(4, 3, 3, 3, 3));
  // A token of an earlier prompt or answer is no longer part of the text: 3 falls to 1, then 4 to 0.75.
  EXPECT_THAT(run(running->engine, {1, 2}).tokens, ElementsAre(3, 4, 3, 3, 3));
}

TEST_F(SampledGenerationTest, PresencePenaltyCountsTheAnswerOnly) {
  options.sampling.presence_penalty = 1;
  // 3 falls to 1, 4 to 0.5.
  EXPECT_THAT(run({3, 4}).tokens, ElementsAre(3, 4, 3, 3, 3));
}

TEST_F(SampledGenerationTest, FrequencyPenaltyGrowsWithTheAnswer) {
  options.sampling.frequency_penalty = 0.4F;
  // 3: 2, 1.6, 1.2, 1.2, 0.8; 4: 1.5, 1.5, 1.5, 1.1, 1.1.
  EXPECT_THAT(run({3}).tokens, ElementsAre(3, 3, 4, 3, 4));
}

TEST_F(SampledGenerationTest, BiasAndSuppressionApplyToEveryToken) {
  options.sampling.logit_bias = {{.token = 9, .bias = 3}};
  EXPECT_THAT(run({1}).tokens, ElementsAre(9, 9, 9, 9, 9));
  options.sampling.suppressed_tokens = {3, 9};
  EXPECT_THAT(run({1}).tokens, ElementsAre(4, 4, 4, 4, 4));
}

TEST_F(SampledGenerationTest, TheSeedDecidesWhateverIsCached) {
  model.backend.predict = [](int32_t, std::span<float>) {};  // all equally likely
  options.end_tokens = {};
  options.sampling.temperature = 1;
  options.sampling.seed = 42;
  options.new_tokens_max = 40;
  const Tokens prompt = {1, 2, 3, 4};
  const auto running = model.run_engine(100, 3);
  const Tokens expected = run(running->engine, prompt).tokens;
  EXPECT_EQ(run(running->engine, prompt).tokens, expected);  // prompt cached
  EXPECT_EQ(run(prompt).tokens, expected);                   // other chunks, nothing cached
  // Each position draws anew: of 40 draws from 64 tokens far more than ten are different ones.
  EXPECT_GT(std::set<int32_t>(expected.begin(), expected.end()).size(), 10U);
  options.sampling.seed = 43;
  EXPECT_NE(run(prompt).tokens, expected);
}

TEST(SampleResultTest, TokensPerSecond) {
  SampleResult result = {.tokens = {1, 2, 3}, .decode_seconds = 0.5};
  EXPECT_EQ(result.tokens_per_second(), 6);
  result.decode_seconds = 0;
  EXPECT_EQ(result.tokens_per_second(), 0);
}

TEST(FinishReasonTest, Names) {
  EXPECT_EQ(finish_reason_name(FinishReason::kStop), "stop");
  EXPECT_EQ(finish_reason_name(FinishReason::kLength), "length");
  EXPECT_EQ(finish_reason_name(FinishReason::kCancelled), "cancelled");
  EXPECT_EQ(finish_reason_name(FinishReason::kDeadline), "deadline");
  EXPECT_EQ(finish_reason_name(FinishReason::kFailed), "failed");
}

}  // namespace
}  // namespace beryl::engine
