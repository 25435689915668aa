#include "cli/eval_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <utility>

namespace beryl::cli {
namespace {

constexpr size_t kBarWidth = 30;

}  // namespace

EvalProgressBar::EvalProgressBar(std::string label)
    : label_(std::move(label)), is_terminal_(::isatty(STDERR_FILENO) == 1) {}

EvalProgressBar::~EvalProgressBar() {
  if (is_terminal_) fmt::print(stderr, "\r\033[K");
}

void EvalProgressBar::update(const eval::EvalProgress& progress) {
  if (!is_terminal_ || progress.total == 0) return;
  if (!done_at_start_) done_at_start_ = progress.done;
  const size_t filled = kBarWidth * progress.done / progress.total;
  std::string line = fmt::format("{} [{}{}] {} of {}", label_, std::string(filled, '#'),
                                 std::string(kBarWidth - filled, '.'), progress.done, progress.total);
  if (progress.done > 0) {
    line += fmt::format(", {:.1f} % right",
                        100 * static_cast<double>(progress.right) / static_cast<double>(progress.done));
  }
  const auto done_here = static_cast<double>(progress.done - *done_at_start_);
  if (done_here > 0) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    const auto left = static_cast<double>(progress.total - progress.done);
    line += fmt::format(", {:.1f} tokens/s, {} left", static_cast<double>(progress.new_tokens) / seconds,
                        format_duration(seconds / done_here * left));
  }
  fmt::print(stderr, "\r\033[K{}", line);
  std::fflush(stderr);
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace beryl::cli
