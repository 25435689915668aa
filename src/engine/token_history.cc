#include "engine/token_history.h"

#include "base/check.h"

namespace beryl::engine {

void TokenHistory::add_prompt(std::span<const int32_t> tokens) {
  for (const int32_t token : tokens) output_counts_.try_emplace(token, 0);
}

void TokenHistory::add_output(int32_t token) {
  ++output_counts_[token];
}

void TokenHistory::penalise(const SamplingParams& params, std::span<float> logits) const {
  for (const auto& [token, count] : output_counts_) {
    BERYL_CHECK(token >= 0 && static_cast<size_t>(token) < logits.size());
    float& logit = logits[static_cast<size_t>(token)];
    logit = logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    if (count == 0) continue;
    logit -= params.frequency_penalty * static_cast<float>(count);
    logit -= params.presence_penalty;
  }
}

}  // namespace beryl::engine
