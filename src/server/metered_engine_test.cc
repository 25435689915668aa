#include "server/metered_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api_for_tests.h"

namespace beryl::server {
namespace {

using ::testing::HasSubstr;

// Remembers what it hears.
class HeardListener final : public engine::RequestListener {
 public:
  void on_prompt_token(int64_t /*position*/, const engine::Sample& /*token*/) override { ++prompt_tokens; }
  void on_logits(int32_t /*sample*/, int64_t /*position*/, std::span<const float> /*row*/) override {
    ++rows;
  }
  bool on_token(int32_t /*sample*/, const engine::Sample& /*token*/) override { return ++tokens < 5; }
  void on_finish(const engine::SampleResult& /*result*/) override { ++ended; }

  int prompt_tokens = 0, rows = 0, tokens = 0, ended = 0;
};

struct Metered {
  ScriptedEngine scripted;
  Metrics metrics{{.model_name = "m"}};
  MeteredEngine engine{scripted, metrics};
  std::shared_ptr<HeardListener> heard = std::make_shared<HeardListener>();
};

TEST(MeteredEngine, AddsUpARequestWhenItsLastAnswerEnds) {
  Metered setup;
  setup.scripted.scripts = {{10, 11}, {12, 13, 14}};
  setup.engine.submit({.prompt = {1, 2, 3},
                       .new_tokens_max = 30,
                       .samples = 2,
                       .prompt_logprobs = 0,
                       .listener = setup.heard});
  EXPECT_THAT(setup.metrics.text(), HasSubstr("beryl_request_params_n_count{model_name=\"m\"} 0\n"));
  setup.scripted.play();
  const std::string text = setup.metrics.text();
  EXPECT_THAT(text, HasSubstr("beryl_request_params_n_count{model_name=\"m\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("beryl_request_params_n_sum{model_name=\"m\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("beryl_request_params_max_tokens_sum{model_name=\"m\"} 30\n"));
  EXPECT_THAT(text, HasSubstr("beryl_request_max_num_generation_tokens_sum{model_name=\"m\"} 3\n"));
}

TEST(MeteredEngine, PassesEverythingOn) {
  Metered setup;
  setup.scripted.scripts = {{10, 11, 12, 13, 14, 15, 16}};
  setup.scripted.figures.running = 7;
  setup.scripted.full = true;
  const engine::RequestId id = setup.engine.submit(
      {.prompt = {1, 2, 3}, .new_tokens_max = 30, .prompt_logprobs = 0, .listener = setup.heard});
  setup.scripted.submitted.front().request.listener->on_logits(0, 0, {});
  setup.scripted.play();
  EXPECT_EQ(setup.heard->prompt_tokens, 2);
  EXPECT_EQ(setup.heard->rows, 1);
  EXPECT_EQ(setup.heard->tokens, 5);  // it had enough
  EXPECT_EQ(setup.heard->ended, 1);
  setup.engine.cancel(id);
  EXPECT_THAT(setup.scripted.cancelled, ::testing::ElementsAre(id));
  EXPECT_EQ(setup.engine.stats().running, 7);
  EXPECT_TRUE(setup.engine.is_full());
}

TEST(MeteredEngine, CountsNothingThatIsRefused) {
  Metered setup;
  setup.scripted.places = 0;
  EXPECT_THROW(setup.engine.submit({.prompt = {1}, .new_tokens_max = 1, .listener = setup.heard}), Error);
  EXPECT_THAT(setup.metrics.text(), HasSubstr("beryl_request_params_n_count{model_name=\"m\"} 0\n"));
}

}  // namespace
}  // namespace beryl::server
