// What a request says about how its tokens are chosen.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace beryl::engine {

inline constexpr int32_t kTopLogprobsMax = 20;

struct LogitBias {
  int32_t token = 0;
  float bias = 0;
};

// The default takes every token with its own probability. sampler.h tells what each field does and in which
// order they act.
struct SamplingParams {
  float temperature = 1;                        // [0, 2]; 0: always the most likely token
  int32_t top_k = 0;                            // >= 1; 0 or -1: no limit
  float top_p = 1;                              // [0, 1]; 1: no limit, 0: the most likely token only
  float min_p = 0;                              // [0, 1]; 0: no limit
  float repetition_penalty = 1;                 // [0.01, 2]; 1: none
  float presence_penalty = 0;                   // [-2, 2]
  float frequency_penalty = 0;                  // [-2, 2]
  std::vector<LogitBias> logit_bias = {};       // at most 1,024 different tokens, each bias in [-100, 100]
  std::vector<int32_t> suppressed_tokens = {};  // never chosen; the model's generation_config.json names some
  uint64_t seed = 0;                            // whoever makes the request picks one when the user did not
  std::optional<int32_t> top_logprobs = {};     // [0, 20] alternatives to report; absent: no log-probability
};

// Errors: kInvalidInput naming the first field that is out of range, what it is and what it may be.
void validate(const SamplingParams& params, int32_t vocab_size);

}  // namespace beryl::engine
