#include "eval/token_times.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/error.h"

namespace beryl::eval {
namespace {

using engine::FinishReason;
using std::chrono::milliseconds;

bool add(const std::shared_ptr<engine::RequestListener>& listener) {
  std::this_thread::sleep_for(milliseconds(2));
  return listener->on_token(0, {.token = 1});
}

// Two streams in turn. However the call falls among them, it measures whole rounds: two tokens of each, 2 ms
// apart at least.
TEST(TokenTimesTest, MeasuresWholeRounds) {
  TokenTimes times(2, 0);
  std::atomic<bool> is_done = false;
  std::thread engine([&] {
    while (!is_done) {
      add(times.stream_listener(0));
      add(times.stream_listener(1));
    }
  });
  for (int i = 0; i < 5; ++i) {
    const TimeSpan span = times.wait_for_tokens(2);
    EXPECT_EQ(times.count_tokens(span), 4);
    EXPECT_GE(span.seconds(), 0.008);
    const std::vector<double> gaps = times.gaps(span);
    EXPECT_EQ(gaps.size(), 4U);
    for (const double gap : gaps) EXPECT_GE(gap, 0.004);
  }
  is_done = true;
  engine.join();
}

// A gap belongs to where it ends.
TEST(TokenTimesTest, CountsGapsThatEndInTheSpan) {
  TokenTimes times(1, 0);
  const auto stream = times.stream_listener(0);
  add(stream);
  const engine::TimePoint between = std::chrono::steady_clock::now();
  add(stream);
  const engine::TimePoint end = std::chrono::steady_clock::now();
  add(stream);
  const std::vector<double> gaps = times.gaps({.begin = between, .end = end});
  ASSERT_EQ(gaps.size(), 1U);
  EXPECT_GE(gaps[0], 0.002);
  EXPECT_EQ(times.count_tokens({.begin = between, .end = end}), 1);
  EXPECT_EQ(times.count_tokens({.begin = {}, .end = between}), 1);
  EXPECT_TRUE(times.gaps({.begin = {}, .end = between}).empty());
}

TEST(TokenTimesTest, EndsPromptsWithTheirTokenAndStreamsWhenStopped) {
  TokenTimes times(1, 2);
  const auto stream = times.stream_listener(0);
  const auto prompt = times.prompt_listener(1);
  EXPECT_TRUE(add(stream));
  const engine::TimePoint before = std::chrono::steady_clock::now();
  EXPECT_FALSE(add(prompt));
  prompt->on_finish({.finish_reason = FinishReason::kStop});
  EXPECT_GT(times.wait_for_prompt(1), before);
  // A prompt's token is none of the streams'.
  EXPECT_EQ(times.count_tokens({.begin = before, .end = std::chrono::steady_clock::now()}), 0);
  times.stop();
  EXPECT_FALSE(add(stream));
}

TEST(TokenTimesTest, PassesFailuresOn) {
  TokenTimes times(1, 1);
  times.prompt_listener(0)->on_finish(
      {.finish_reason = FinishReason::kFailed,
       .error = std::make_exception_ptr(Error(ErrorCode::kNumeric, "not finite"))});
  try {
    times.wait_for_tokens(1);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNumeric);
  }
}

TEST(TokenTimesTest, RefusesStreamsThatEndOfThemselves) {
  TokenTimes times(1, 1);
  std::thread engine([&] { times.stream_listener(0)->on_finish({.finish_reason = FinishReason::kLength}); });
  try {
    times.wait_for_prompt(0);
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResource);
  }
  engine.join();
}

}  // namespace
}  // namespace beryl::eval
