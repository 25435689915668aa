// Progress in plain numbers on standard error, on a terminal only, for work that is not counted in bytes.
#pragma once

#include <chrono>
#include <string>

#include "base/progress.h"

namespace beryl::cli {

// One thread at a time.
class ProgressLine final : public Progress {
 public:
  // `label` says what is being done.
  explicit ProgressLine(std::string label);
  // Removes the line.
  ~ProgressLine() override;
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Tokens.
  void update(uint64_t done, uint64_t total) override;

 private:
  std::string label_;
  bool is_terminal_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace beryl::cli
