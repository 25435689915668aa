#include "cli/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cli/text_format.h"

namespace beryl::cli {
namespace {

constexpr std::chrono::milliseconds kShownAfter{300};
constexpr std::chrono::milliseconds kRedrawEvery{50};
constexpr size_t kBarWidth = 30;

}  // namespace

ProgressBar::ProgressBar(std::string label)
    : label_(std::move(label)), is_terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (is_shown_) fmt::print(stderr, "\r\033[K");
}

void ProgressBar::update(uint64_t done, uint64_t total) {
  if (!is_terminal_ || total == 0) return;
  const std::lock_guard lock(mutex_);
  done_max_ = std::max(done_max_, done);
  const Clock::time_point now = Clock::now();
  if (now - start_ < kShownAfter || now - drawn_ < kRedrawEvery) return;
  drawn_ = now;
  is_shown_ = true;
  const double share = static_cast<double>(done_max_) / static_cast<double>(total);
  const auto filled = static_cast<size_t>(share * kBarWidth);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const auto rate = static_cast<uint64_t>(static_cast<double>(done_max_) / seconds);
  fmt::print(stderr, "\r\033[K{} [{}{}] {:3.0f} %  {} of {}, {}/s", label_, std::string(filled, '#'),
             std::string(kBarWidth - filled, '.'), share * 100, format_bytes(done_max_), format_bytes(total),
             format_bytes(rate));
  std::fflush(stderr);
}

}  // namespace beryl::cli
