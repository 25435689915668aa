#include "engine/logprobs.h"

#include <cmath>
#include <limits>

namespace beryl::engine {

Logprobs::Logprobs(const LogitScan& scan) : scan_(scan) {
  const double max = scan.max();
  double sum = 0;
  for (const float logit : scan.logits()) sum += std::exp(static_cast<double>(logit) - max);
  log_sum_ = max + std::log(sum);
}

double Logprobs::of(int32_t token) const {
  return static_cast<double>(scan_.logits()[static_cast<size_t>(token)]) - log_sum_;
}

std::vector<TokenLogprob> Logprobs::top(size_t count) const {
  std::vector<TokenLogprob> result;
  if (count == 0) return result;
  std::vector<Candidate> candidates;
  scan_.find_top(count, -std::numeric_limits<float>::infinity(), candidates);
  for (const Candidate& candidate : candidates) result.push_back({candidate.token, of(candidate.token)});
  return result;
}

}  // namespace beryl::engine
