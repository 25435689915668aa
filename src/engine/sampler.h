// engine: turns requests into tokens with a model: sampling, sequences, scheduling.
//
// In:  a model and requests.
// Out: tokens.
// Must never know: HTTP, terminals, checkpoint files.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/logit_scan.h"
#include "engine/logprobs.h"
#include "engine/sampling_params.h"
#include "engine/token_history.h"
#include "engine/token_mask.h"

namespace beryl::engine {

// Everything that one choice depends on, and nothing else does: neither the batch nor earlier draws. All
// members are borrowed for the call.
struct SampleInput {
  std::span<const float> logits;    // [V] as the model gives them, after the soft cap
  const SamplingParams& params;     // validated
  const TokenHistory& history;      // what the penalties count
  uint64_t position = 0;            // of the token to be chosen, counted from the start of the prompt
  uint32_t sample_index = 0;        // which of the answers to the same prompt (`n`) this is
  const TokenMask* mask = nullptr;  // tokens that a grammar allows; null: all
};

struct Sample {
  int32_t token = 0;
  // Both from the logits as given (logprobs.h), and only when params.top_logprobs is set.
  std::optional<double> logprob = {};
  std::vector<TokenLogprob> top_logprobs = {};
};

// Chooses the next token. In this order, each step seeing the result of the one before:
//   1. repetition, frequency and presence penalty   (token_history.h)
//   2. logit bias, added
//   3. suppressed tokens and those outside of the mask drop out
//   4. temperature 0 ends here with the largest logit; any other divides the logits
//   5. min-p: tokens less likely than min_p times the most likely one drop out
//   6. top-k: all but the k most likely drop out
//   7. top-p: of what is left, renormalised, the fewest most likely tokens that together reach top_p stay
//   8. one is drawn with its probability among those that stay, by the number that belongs to
//      (seed, sample_index, position)                (philox.h)
// At least one token always stays. Of equally likely tokens the lower id is the more likely one, in steps 4,
// 6 and 7 alike. Weights are float64. With top-k the work is one pass over the logits; without it, one
// exponential per token that min-p leaves.
//
// Holds buffers only. One thread at a time.
class Sampler {
 public:
  // Errors, all naming the position: kNumeric when a logit is NaN or +inf or all are -inf; kInvalidInput when
  // mask and suppressed tokens leave nothing to choose.
  Sample sample(const SampleInput& input);

 private:
  // What turns a logit into a weight: exp((logit - max_logit) / temperature).
  struct Scale {
    double max_logit = 0;
    double temperature = 1;
  };

  Sample sample_at(const SampleInput& input);
  const LogitScan& adjust(const SampleInput& input);
  int32_t draw(const LogitScan& scan, const SampleInput& input);
  // Fills weights_ of the candidates in [begin, end) and returns their sum.
  double weigh(size_t begin, size_t end, const Scale& scale);
  // Leaves the fewest most preferred candidates that together weigh `goal`; returns what they weigh.
  double keep_nucleus(double goal, const Scale& scale);
  // The candidate at `target` of the sum of weights.
  int32_t pick(double target) const;

  LogitScan raw_scan_;
  LogitScan adjusted_scan_;
  std::vector<float> adjusted_;
  std::vector<Candidate> candidates_;
  std::vector<double> weights_;  // of candidates_; the most likely token weighs 1
};

}  // namespace beryl::engine
