#include "eval/token_times.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace beryl::eval {

using engine::TimePoint;

class TokenTimes::Listener final : public engine::RequestListener {
 public:
  Listener(TokenTimes& times, size_t request) : times_(times), request_(request) {}
  bool on_token(int32_t /*sample*/, const engine::Sample& /*token*/) override { return times_.add(request_); }
  void on_finish(const engine::SampleResult& result) override { times_.finish(result); }

 private:
  TokenTimes& times_;
  size_t request_;
};

std::shared_ptr<engine::RequestListener> TokenTimes::stream_listener(size_t stream) {
  return std::make_shared<Listener>(*this, stream);
}

std::shared_ptr<engine::RequestListener> TokenTimes::prompt_listener(size_t prompt) {
  return std::make_shared<Listener>(*this, stream_count_ + prompt);
}

bool TokenTimes::add(size_t request) {
  const TimePoint now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  times_[request].push_back(now);
  if (has_reached_goal()) changed_.notify_one();
  return request < stream_count_ && !is_stopping_;
}

void TokenTimes::finish(const engine::SampleResult& result) {
  const std::lock_guard lock(mutex_);
  if (result.error) {
    error_ = result.error;
  } else if (result.finish_reason == engine::FinishReason::kLength) {
    error_ = std::make_exception_ptr(Error(ErrorCode::kResource,
                                           "a stream came to the end of its context while it was measured",
                                           "choose fewer steps or a shorter prompt"));
  }
  if (error_) changed_.notify_one();
}

TimeSpan TokenTimes::wait_for_tokens(size_t tokens) {
  std::unique_lock lock(mutex_);
  const std::vector<size_t> before = counts();
  std::vector<size_t> wanted = before;
  for (size_t i = 0; i < stream_count_; ++i) wanted[i] += 1 + tokens;
  wait_until(lock, std::move(wanted));
  TimeSpan span;
  for (size_t i = 0; i < stream_count_; ++i) {
    span.begin = std::max(span.begin, times_[i][before[i]]);
    span.end = std::max(span.end, times_[i][before[i] + tokens]);
  }
  return span;
}

TimePoint TokenTimes::wait_for_prompt(size_t prompt) {
  std::unique_lock lock(mutex_);
  std::vector<size_t> wanted(times_.size());
  wanted[stream_count_ + prompt] = 1;
  wait_until(lock, std::move(wanted));
  return times_[stream_count_ + prompt].front();
}

void TokenTimes::stop() {
  const std::lock_guard lock(mutex_);
  is_stopping_ = true;
}

int64_t TokenTimes::count_tokens(const TimeSpan& span) const {
  const std::lock_guard lock(mutex_);
  int64_t count = 0;
  for (size_t i = 0; i < stream_count_; ++i) {
    count += std::ranges::count_if(times_[i], [&](TimePoint time) { return span.contains(time); });
  }
  return count;
}

std::vector<double> TokenTimes::gaps(const TimeSpan& span) const {
  const std::lock_guard lock(mutex_);
  std::vector<double> gaps;
  for (size_t i = 0; i < stream_count_; ++i) {
    for (size_t k = 1; k < times_[i].size(); ++k) {
      if (!span.contains(times_[i][k])) continue;
      gaps.push_back(TimeSpan{.begin = times_[i][k - 1], .end = times_[i][k]}.seconds());
    }
  }
  return gaps;
}

void TokenTimes::wait_until(std::unique_lock<std::mutex>& lock, std::vector<size_t> counts) {
  goal_ = std::move(counts);
  changed_.wait(lock, [this] { return error_ != nullptr || has_reached_goal(); });
  goal_.clear();
  if (error_) std::rethrow_exception(error_);
}

bool TokenTimes::has_reached_goal() const {
  for (size_t i = 0; i < goal_.size(); ++i) {
    if (times_[i].size() < goal_[i]) return false;
  }
  return !goal_.empty();
}

std::vector<size_t> TokenTimes::counts() const {
  std::vector<size_t> counts;
  for (const std::vector<TimePoint>& times : times_) counts.push_back(times.size());
  return counts;
}

}  // namespace beryl::eval
