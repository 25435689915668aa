// Which tokens a sequence already holds, and the penalties that follow from it.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "engine/sampling_params.h"

namespace beryl::engine {

class TokenHistory {
 public:
  void add_prompt(std::span<const int32_t> tokens);
  void add_output(int32_t token);

  // Changes the logits [V] of the tokens that were seen; all tokens added must be below V. For each, in this
  // order:
  //   repetition, seen in the prompt or the output: a positive logit is divided by it, any other multiplied
  //   frequency:  minus frequency_penalty times the number of times in the output
  //   presence:   minus presence_penalty if it is in the output
  void penalise(const SamplingParams& params, std::span<float> logits) const;

 private:
  // Times in the output; a token of the prompt alone has 0.
  std::unordered_map<int32_t, uint32_t> output_counts_;
};

// Whether penalise() would change anything.
inline bool has_penalties(const SamplingParams& params) {
  return params.repetition_penalty != 1 || params.frequency_penalty != 0 || params.presence_penalty != 0;
}

}  // namespace beryl::engine
