#include "engine/step_sizer.h"

#include <algorithm>

namespace beryl::engine {
namespace {

// Fewer tokens would hardly make the step shorter: the weights must be read anyway.
constexpr double kTokensMin = 16;
// Before anything was measured.
constexpr double kTokensAtFirst = 64;
// Of the time allowed; the rest is for what varies from step to step.
constexpr double kAimedShare = 0.85;

}  // namespace

StepSizer::StepSizer(double step_seconds_max, int64_t tokens_max)
    : step_seconds_max_(step_seconds_max), tokens_max_(tokens_max), prompt_tokens_(kTokensAtFirst) {}

int64_t StepSizer::prompt_tokens() const {
  return std::min(static_cast<int64_t>(prompt_tokens_), tokens_max_);
}

void StepSizer::add(int64_t prompt_tokens, int64_t decoding, double seconds) {
  if (seconds <= 0) return;
  if (prompt_tokens == 0) {
    decode_seconds_ = decode_seconds_ == 0 ? seconds : 0.8 * decode_seconds_ + 0.2 * seconds;
    return;
  }
  // What answers take of a step, when there were any in it.
  const double decode = decoding > 0 ? std::min(decode_seconds_, 0.9 * seconds) : 0;
  const double wanted = std::max(0.05 * step_seconds_max_, kAimedShare * step_seconds_max_ - decode_seconds_);
  // The cost of a token falls as there are more, so a step of another size is only extrapolated by half.
  const double change = std::clamp(wanted / (seconds - decode), 0.25, 2.0);
  const auto size = static_cast<double>(prompt_tokens);
  // A step that was smaller than it might have been says nothing against its size.
  if (size < prompt_tokens_ && change > 1) {
    prompt_tokens_ = std::max(prompt_tokens_, std::min(size * change, static_cast<double>(tokens_max_)));
    return;
  }
  prompt_tokens_ =
      std::clamp(size * change, kTokensMin, std::max(kTokensMin, static_cast<double>(tokens_max_)));
}

}  // namespace beryl::engine
