// A bar on standard error, on a terminal only, for work that takes longer than a moment.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "base/progress.h"

namespace beryl::cli {

class ProgressBar final : public Progress {
 public:
  // `label` says what is being done.
  explicit ProgressBar(std::string label);
  // Removes the bar.
  ~ProgressBar() override;

  void update(uint64_t done, uint64_t total) override;

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_;
  bool is_terminal_;
  std::mutex mutex_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point drawn_;  // when the bar was last drawn
  bool is_shown_ = false;
  uint64_t done_max_ = 0;  // threads report out of order
};

}  // namespace beryl::cli
