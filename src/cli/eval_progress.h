// A bar for an evaluation: questions done, accuracy so far and the time left. On a terminal only.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "eval/eval_run.h"

namespace beryl::cli {

class EvalProgressBar {
 public:
  explicit EvalProgressBar(std::string label);
  // Removes the bar.
  ~EvalProgressBar();
  EvalProgressBar(const EvalProgressBar&) = delete;
  EvalProgressBar& operator=(const EvalProgressBar&) = delete;

  void update(const eval::EvalProgress& progress);

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_;
  bool is_terminal_;
  Clock::time_point start_ = Clock::now();
  std::optional<size_t> done_at_start_;  // recorded earlier
};

// "47 s", "12 min 5 s" or "3 h 20 min".
std::string format_duration(double seconds);

}  // namespace beryl::cli
