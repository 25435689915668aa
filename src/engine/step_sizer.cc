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
// Of the time allowed, for prompts, when answers leave less.
constexpr double kPromptShareMin = 0.05;

}  // namespace

StepSizer::StepSizer(double step_seconds_max, int64_t tokens_max)
    : step_seconds_max_(step_seconds_max), tokens_max_(tokens_max) {}

int64_t StepSizer::prompt_tokens() const {
  double tokens = kTokensAtFirst;
  if (measured_tokens_ > 0) {
    const double wanted =
        std::max(kPromptShareMin * step_seconds_max_, kAimedShare * step_seconds_max_ - decode_seconds_);
    // The cost of a token falls as there are more, so a larger step is only tried by and by.
    const double most = std::max(kTokensMin, 2 * static_cast<double>(measured_tokens_));
    tokens = std::clamp(wanted / prompt_seconds_per_token_, kTokensMin, most);
  }
  return std::min(static_cast<int64_t>(tokens), tokens_max_);
}

void StepSizer::add(int64_t prompt_tokens, int64_t decoding, double seconds) {
  if (seconds <= 0) return;
  if (prompt_tokens == 0) {
    decode_seconds_ = decode_seconds_ == 0 ? seconds : 0.8 * decode_seconds_ + 0.2 * seconds;
    return;
  }
  // What answers take of a step, when there were any in it.
  const double decode = decoding > 0 ? std::min(decode_seconds_, 0.9 * seconds) : 0;
  const double per_token = (seconds - decode) / static_cast<double>(prompt_tokens);
  // Tokens are dearer in a small step, so the short rest of a prompt says nothing against a larger size.
  const bool is_short = prompt_tokens < this->prompt_tokens();
  if (is_short && measured_tokens_ > 0 && per_token >= prompt_seconds_per_token_) return;
  measured_tokens_ = is_short ? std::max(prompt_tokens, measured_tokens_) : prompt_tokens;
  prompt_seconds_per_token_ = per_token;
}

}  // namespace beryl::engine
