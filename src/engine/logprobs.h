// Log-probabilities of tokens under a row of logits: what the model itself believes, before penalties, bias,
// masks and temperature.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/logit_scan.h"

namespace beryl::engine {

struct TokenLogprob {
  int32_t token = 0;
  double logprob = 0;  // natural logarithm; -inf for a token whose logit is -inf
};

// A float64 log-softmax of the scanned row: the logit minus log(sum of exp(logits)).
class Logprobs {
 public:
  // `scan` is borrowed. Costs one exponential per token of the vocabulary.
  explicit Logprobs(const LogitScan& scan);

  // `token` must be in [0, V).
  double of(int32_t token) const;
  // The `count` most likely tokens, best first, ties to the lower id; fewer when fewer have a finite logit.
  std::vector<TokenLogprob> top(size_t count) const;

 private:
  const LogitScan& scan_;
  double log_sum_ = 0;
};

}  // namespace beryl::engine
