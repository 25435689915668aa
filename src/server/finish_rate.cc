#include "server/finish_rate.h"

#include <algorithm>
#include <cmath>

namespace beryl::server {
namespace {

constexpr size_t kFinishesKept = 64;
constexpr int64_t kSecondsMax = 60;     // openai-python honours up to two minutes
constexpr int64_t kSecondsUnknown = 5;  // before two answers have ended

}  // namespace

void FinishRate::add_finish(TimePoint now) {
  const std::lock_guard lock(mutex_);
  finishes_.push_back(now);
  if (finishes_.size() > kFinishesKept) finishes_.pop_front();
}

int64_t FinishRate::retry_after(int64_t waiting, TimePoint now) const {
  const std::lock_guard lock(mutex_);
  if (finishes_.size() < 2) return kSecondsUnknown;
  // Up to now, so that an engine that has come to a halt does not look fast.
  const double seconds = std::chrono::duration<double>(now - finishes_.front()).count();
  const double rate = static_cast<double>(finishes_.size() - 1) / std::max(seconds, 1e-3);
  const double wait = std::ceil(static_cast<double>(waiting) / 2 / rate);
  return std::clamp(static_cast<int64_t>(std::min(wait, 1e6)), int64_t{1}, kSecondsMax);
}

}  // namespace beryl::server
