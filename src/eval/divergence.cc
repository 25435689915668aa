#include "eval/divergence.h"

#include <algorithm>
#include <cmath>

namespace beryl::eval {

double log_sum(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - largest);
  return largest + std::log(sum);
}

double kl_divergence(std::span<const float> first, double first_sum, std::span<const float> second,
                     double second_sum) {
  double kl = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    const double logprob = double{first[i]} - first_sum;
    kl += std::exp(logprob) * (logprob - (double{second[i]} - second_sum));
  }
  return std::max(kl, 0.0);
}

double kl_divergence(std::span<const float> first, std::span<const float> second) {
  return kl_divergence(first, log_sum(first), second, log_sum(second));
}

}  // namespace beryl::eval
