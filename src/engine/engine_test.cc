#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/sanitizer_for_tests.h"
#include "engine/fake_runner_for_tests.h"

namespace beryl::engine {
namespace {

using testing::HasSubstr;
using Tokens = std::vector<int32_t>;

const FakeShape kShape = {.vocabulary_size = 32, .window = 8, .tokens_per_page = 4};

EngineOptions options_for(const FakeShape& shape) {
  return {.context_max = 100,
          .sequences_max = 4,
          .tokens_per_page = shape.tokens_per_page,
          .sliding_pages = shape.sliding_pages,
          .full_pages = shape.full_pages,
          .prefix_sliding_pages = shape.sliding_pages / 2,
          .chunk_tokens = 16};
}

TimePoint soon() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(30);
}

class Collector final : public RequestListener {
 public:
  explicit Collector(int32_t samples = 1) : left_(samples) {}
  void on_prompt_token(int64_t position, const Sample& token) override {
    prompt_logprobs[position] = token.logprob.value();
  }
  bool on_token(int32_t, const Sample& token) override {
    if (first_token_hook) first_token_hook();
    if (token.logprob) logprobs.push_back(*token.logprob);
    return true;
  }
  void on_finish(const SampleResult& result) override {
    results[result.sample] = result;
    if (--left_ == 0) done_.set_value();
  }
  // All samples' results.
  std::map<int32_t, SampleResult>& wait() {
    EXPECT_EQ(done_.get_future().wait_until(soon()), std::future_status::ready);
    return results;
  }

  std::map<int32_t, SampleResult> results;
  std::map<int64_t, double> prompt_logprobs;
  std::vector<double> logprobs;
  std::function<void()> first_token_hook;

 private:
  int32_t left_;
  std::promise<void> done_;
};

Request greedy(Tokens prompt, int64_t new_tokens, std::shared_ptr<RequestListener> listener) {
  Request request = {
      .prompt = std::move(prompt), .new_tokens_max = new_tokens, .listener = std::move(listener)};
  request.sampling.temperature = 0;
  return request;
}

Tokens expected_answer(Tokens text, int64_t new_tokens) {
  Tokens answer;
  for (int64_t i = 0; i < new_tokens; ++i) {
    answer.push_back(FakeRunner::next(text, kShape));
    text.push_back(answer.back());
  }
  return answer;
}

class EngineTest : public testing::Test {
 protected:
  std::string refusal(Request request) {
    try {
      engine.submit(std::move(request));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      return error.message();
    }
    return "accepted";
  }

  FakeRunner runner{kShape};
  Engine engine{runner, options_for(kShape)};
};

TEST_F(EngineTest, AnswersManyCallersAtOnce) {
  std::vector<std::thread> callers;
  for (int32_t caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int32_t i = 0; i < 20; ++i) {
        const Tokens prompt = {caller, i % 5, 3, 4, 5, 6};
        const auto listener = std::make_shared<Collector>();
        engine.submit(greedy(prompt, 10, listener));
        EXPECT_EQ(listener->wait().at(0).tokens, expected_answer(prompt, 10));
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  ASSERT_TRUE(engine.wait_until_idle(soon()));
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.finished[static_cast<size_t>(FinishReason::kLength)], 80U);
  EXPECT_EQ(stats.new_tokens, 800U);
  // The last token of an answer is not fed to the model.
  EXPECT_EQ(stats.step_tokens.sum, stats.prompt_tokens_computed + 80 * 9);
  const auto& counts = stats.step_tokens.counts;
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), uint64_t{0}), stats.steps);
  EXPECT_EQ(stats.running + stats.waiting, 0);
  EXPECT_EQ(stats.sliding_pages_used, stats.prefix_sliding_pages);
  EXPECT_EQ(stats.full_pages_used, stats.prefix_full_pages);
}

TEST_F(EngineTest, SamplesShareTheirPrompt) {
  const auto listener = std::make_shared<Collector>(3);
  Request request = greedy({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 12, listener);
  request.sampling.temperature = 1;
  request.sampling.seed = 7;
  request.samples = 3;
  request.uses_prefix_cache = false;
  engine.submit(request);
  const auto& results = listener->wait();
  EXPECT_EQ(results.at(0).prompt_tokens, 10);
  for (const int32_t sample : {1, 2}) {
    EXPECT_EQ(results.at(sample).prompt_tokens, 1);
    EXPECT_EQ(results.at(sample).cached_tokens, 9);
    EXPECT_NE(results.at(sample).tokens, results.at(0).tokens);
  }
  // Each is what it would be alone.
  const auto again = std::make_shared<Collector>(3);
  request.listener = again;
  engine.submit(request);
  for (const auto& [sample, result] : again->wait()) EXPECT_EQ(result.tokens, results.at(sample).tokens);
}

TEST_F(EngineTest, LogprobsOfAPromptAreThoseOfTheAnswerThatItWas) {
  const Tokens prompt = {1, 2, 3};
  const auto answer = std::make_shared<Collector>();
  Request request = greedy(prompt, 6, answer);
  request.sampling.top_logprobs = 0;
  engine.submit(request);
  const Tokens tokens = answer->wait().at(0).tokens;

  const auto echo = std::make_shared<Collector>();
  Tokens text = prompt;
  text.insert(text.end(), tokens.begin(), tokens.end());
  Request whole = greedy(text, 0, echo);
  whole.prompt_logprobs = 0;
  engine.submit(whole);
  EXPECT_EQ(echo->wait().at(0).finish_reason, FinishReason::kLength);
  ASSERT_EQ(echo->prompt_logprobs.size(), text.size() - 1);
  for (size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_EQ(echo->prompt_logprobs.at(static_cast<int64_t>(prompt.size() + i)), answer->logprobs[i]);
  }
  EXPECT_EQ(echo->results.at(0).cached_tokens, 0);
}

TEST_F(EngineTest, NoEndTokenBeforeTheMinimum) {
  const Tokens prompt = {1, 2, 3};
  const int32_t first = FakeRunner::next(prompt, kShape);
  const auto listener = std::make_shared<Collector>();
  Request request = greedy(prompt, 10, listener);
  request.end_tokens = {first};
  request.new_tokens_min = 4;
  engine.submit(request);
  const SampleResult result = listener->wait().at(0);
  EXPECT_GE(result.tokens.size(), 4U);
  EXPECT_THAT(result.tokens, testing::Not(testing::Contains(first)));
}

TEST_F(EngineTest, ALogitThatIsNotFiniteFailsItsRequestAlone) {
  runner.poison = 31;
  const auto good = std::make_shared<Collector>();
  const auto bad = std::make_shared<Collector>();
  const Tokens prompt = {1, 2, 3, 4, 5};
  engine.submit(greedy(prompt, 7, good));
  engine.submit(greedy({1, 2, 3, 31}, 7, bad));
  EXPECT_EQ(good->wait().at(0).tokens, expected_answer(prompt, 7));
  const SampleResult failed = bad->wait().at(0);
  EXPECT_EQ(failed.finish_reason, FinishReason::kFailed);
  try {
    std::rethrow_exception(failed.error);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNumeric);
    EXPECT_THAT(error.message(), HasSubstr("after token 3 of the text"));
  }
  ASSERT_TRUE(engine.wait_until_idle(soon()));
  EXPECT_EQ(engine.stats().numeric_errors, 1U);
}

TEST_F(EngineTest, RefusesWhatCanNeverFitWithTheNumbers) {
  const auto listener = std::make_shared<Collector>();
  EXPECT_THAT(refusal(greedy(Tokens(100, 1), 1, listener)),
              HasSubstr("100 tokens, but there is room for 99"));
  EXPECT_EQ(refusal(greedy(Tokens(99, 1), 1, listener)), "accepted");
  EXPECT_THAT(refusal(greedy({}, 1, listener)), HasSubstr("prompt is empty"));
  EXPECT_THAT(refusal(greedy({1, 32}, 1, listener)), HasSubstr("token id 32, expected 0 to 31"));
  EXPECT_THAT(refusal(greedy({-1}, 1, listener)), HasSubstr("token id -1"));
  Request samples = greedy({1}, 1, listener);
  samples.samples = 9;
  EXPECT_THAT(refusal(samples), HasSubstr("samples is 9, expected 1 to 8"));
  Request minimum = greedy({1}, 1, listener);
  minimum.new_tokens_min = 2;
  EXPECT_THAT(refusal(minimum), HasSubstr("new_tokens_min is 2, expected 0 to 1"));
  Request hot = greedy({1}, 1, listener);
  hot.sampling.temperature = 9;
  EXPECT_THAT(refusal(hot), HasSubstr("temperature"));
  FakeShape few = kShape;
  few.full_pages = 10;
  FakeRunner small_runner(few);
  Engine small(small_runner, options_for(few));
  EXPECT_THROW(small.submit(greedy(Tokens(40, 1), 10, listener)), Error);
}

// A runner that waits within a pass until it is told to go on.
class GatedRunner final : public ModelRunner {
 public:
  int64_t vocabulary_size() const override { return runner_.vocabulary_size(); }
  int64_t window() const override { return runner_.window(); }
  bool run(const model::Batch& batch, std::span<float> logits) override {
    is_inside = true;
    while (is_closed) {
      if (batch.should_stop()) {
        ++stopped;
        return false;
      }
      std::this_thread::yield();
    }
    return runner_.run(batch, logits);
  }
  void copy_page(backend::LayerKind kind, int32_t from, int32_t to) override {
    runner_.copy_page(kind, from, to);
  }
  void wait_inside() const {
    while (!is_inside) std::this_thread::yield();
  }

  std::atomic<bool> is_closed = true;
  std::atomic<bool> is_inside = false;
  std::atomic<int> stopped = 0;

 private:
  FakeRunner runner_{kShape};
};

TEST(EngineCancelTest, IsNoticedWithinAPass) {
  GatedRunner runner;
  Engine engine(runner, options_for(kShape));
  const auto listener = std::make_shared<Collector>();
  const RequestId id = engine.submit(greedy({1, 2, 3}, 10, listener));
  runner.wait_inside();
  engine.cancel(id);
  EXPECT_EQ(listener->wait().at(0).finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(runner.stopped, 1);
  ASSERT_TRUE(engine.wait_until_idle(soon()));
  EXPECT_EQ(engine.stats().abandoned_steps, 1U);
  EXPECT_EQ(engine.stats().full_pages_used, 0);
}

TEST(EngineCancelTest, ListenersMayCancel) {
  FakeRunner runner(kShape);
  Engine engine(runner, options_for(kShape));
  const auto listener = std::make_shared<Collector>();
  std::promise<RequestId> id;  // the first token may come before submit() returns
  const std::shared_future<RequestId> submitted = id.get_future();
  listener->first_token_hook = [&] { engine.cancel(submitted.get()); };
  id.set_value(engine.submit(greedy({1, 2, 3}, 90, listener)));
  EXPECT_EQ(listener->wait().at(0).finish_reason, FinishReason::kCancelled);
}

TEST(EngineQueueTest, IsBoundedByRequestsAndTokens) {
  GatedRunner runner;
  EngineOptions options = options_for(kShape);
  options.sequences_max = 1;
  options.queue_requests_max = 3;
  options.queue_tokens_max = 50;
  Engine engine(runner, options);
  std::vector<std::shared_ptr<Collector>> listeners;
  const auto submit = [&](size_t tokens) {
    listeners.push_back(std::make_shared<Collector>());
    engine.submit(greedy(Tokens(tokens, 1), 1, listeners.back()));
  };
  submit(10);
  runner.wait_inside();  // it runs: no longer in the queue
  submit(10);
  submit(10);
  EXPECT_FALSE(engine.is_full());
  try {
    submit(31);
    ADD_FAILURE() << "too many tokens";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBusy);
    EXPECT_THAT(error.message(), HasSubstr("2 requests with 20 tokens are waiting, allowed are 3 with 50"));
  }
  submit(30);
  EXPECT_TRUE(engine.is_full());  // at once, though the step goes on
  EXPECT_THROW(submit(1), Error);
  listeners.pop_back();
  runner.is_closed = false;
  ASSERT_TRUE(engine.wait_until_idle(soon()));
  EXPECT_EQ(engine.stats().finished[static_cast<size_t>(FinishReason::kLength)], 4U);
  EXPECT_FALSE(engine.is_full());
  submit(1);
  ASSERT_TRUE(engine.drain(soon()));
  EXPECT_THROW(submit(1), Error);
}

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  statm >> size >> resident;
  return resident * 4096;
}

TEST(EngineMemoryTest, IsFlatOverManyRequests) {
  if (kHasSanitizer) GTEST_SKIP() << "sanitizers keep what was freed";
  FakeRunner runner(kShape);
  EngineOptions options = options_for(kShape);
  options.queue_requests_max = 2000;
  Engine engine(runner, options);
  const auto run_requests = [&](int32_t count) {
    for (int32_t i = 0; i < count; ++i) {
      engine.submit(greedy({i % 30, i / 30 % 30, i / 900 % 30, 4, 5}, 2, std::make_shared<Collector>()));
      if (i % 1000 == 999) ASSERT_TRUE(engine.wait_until_idle(soon()));
    }
  };
  run_requests(10'000);
  const int64_t before = resident_bytes();
  run_requests(100'000);
  EXPECT_LE(resident_bytes() - before, int64_t{1} << 20U);
}

TEST(EngineEndTest, CancelsWhatIsLeft) {
  GatedRunner runner;
  const auto running = std::make_shared<Collector>();
  const auto waiting = std::make_shared<Collector>();
  {
    EngineOptions options = options_for(kShape);
    options.sequences_max = 1;
    Engine engine(runner, options);
    engine.submit(greedy({1, 2}, 10, running));
    runner.wait_inside();
    engine.submit(greedy({1, 2}, 10, waiting));
  }
  EXPECT_EQ(running->wait().at(0).finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(waiting->wait().at(0).finish_reason, FinishReason::kCancelled);
}

TEST(EngineDeadlineTest, EndsARequestThatIsLate) {
  FakeRunner runner(kShape);
  Engine engine(runner, options_for(kShape));
  const auto listener = std::make_shared<Collector>();
  Request request = greedy({1, 2}, 10, listener);
  request.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  engine.submit(request);
  EXPECT_EQ(listener->wait().at(0).finish_reason, FinishReason::kDeadline);
}

}  // namespace
}  // namespace beryl::engine
