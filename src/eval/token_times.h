// When the tokens of requests came: noted by an engine's thread, read by whoever measures.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/request.h"

namespace beryl::eval {

// After `begin`, up to `end`.
struct TimeSpan {
  engine::TimePoint begin = {}, end = {};
  bool contains(engine::TimePoint time) const { return time > begin && time <= end; }
  double seconds() const { return std::chrono::duration<double>(end - begin).count(); }
};

// Of requests that go on until they are stopped (streams), and of others that end with their first token
// (prompts). Must outlive the engine that its listeners are given to.
class TokenTimes {
 public:
  TokenTimes(size_t streams, size_t prompts) : stream_count_(streams), times_(streams + prompts) {}

  std::shared_ptr<engine::RequestListener> stream_listener(size_t stream);
  std::shared_ptr<engine::RequestListener> prompt_listener(size_t prompt);

  // Waits until each stream has had its next token and `tokens` >= 1 more. The span runs from the last
  // stream's next token to the last one waited for. Errors: what a request failed with; kResource when a
  // stream came to its end.
  TimeSpan wait_for_tokens(size_t tokens);
  // Waits for a prompt's token, and returns its time. Errors: as wait_for_tokens().
  engine::TimePoint wait_for_prompt(size_t prompt);
  // Ends all streams with their next token.
  void stop();

  // Tokens of all streams in the span.
  int64_t count_tokens(const TimeSpan& span) const;
  // Seconds from the token before to each of these.
  std::vector<double> gaps(const TimeSpan& span) const;

 private:
  class Listener;

  // On the engine's thread. False: the request ends here.
  bool add(size_t request);
  void finish(const engine::SampleResult& result);

  // Waits until requests have so many tokens, [streams + prompts].
  void wait_until(std::unique_lock<std::mutex>& lock, std::vector<size_t> counts);
  bool has_reached_goal() const;
  std::vector<size_t> counts() const;

  const size_t stream_count_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<engine::TimePoint>> times_;  // of the streams' tokens, then of the prompts'
  std::vector<size_t> goal_;                           // what is waited for; empty: nothing
  bool is_stopping_ = false;
  std::exception_ptr error_ = {};
};

}  // namespace beryl::eval
