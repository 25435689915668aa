#include "cli/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "cli/eval_progress.h"

namespace beryl::cli {

ProgressLine::ProgressLine(std::string label)
    : label_(std::move(label)), is_terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (is_terminal_) fmt::print(stderr, "\r\033[K");
}

void ProgressLine::update(uint64_t done, uint64_t total) {
  if (!is_terminal_ || done == 0 || total == 0) return;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const auto left = static_cast<double>(total - done);
  fmt::print(stderr, "\r\033[K{} [{:3} %] {} of {} tokens, {} left", label_, done * 100 / total, done, total,
             format_duration(seconds / static_cast<double>(done) * left));
  std::fflush(stderr);
}

}  // namespace beryl::cli
