// How fast answers end, and so how long to wait for a place in a full queue.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

namespace beryl::server {

// Any thread.
class FinishRate {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  void add_finish(TimePoint now);
  // Whole seconds, 1 to 60, in which a queue of so many answers becomes half empty, by the answers that ended
  // lately.
  int64_t retry_after(int64_t waiting, TimePoint now) const;

 private:
  mutable std::mutex mutex_;
  std::deque<TimePoint> finishes_;  // the latest ones, oldest first
};

}  // namespace beryl::server
