// How many tokens of prompts go into a step while answers are being generated, so that the step keeps its
// time: found by measuring steps, since what a token costs depends on the model, the machine and the batch.
#pragma once

#include <cstdint>

namespace beryl::engine {

class StepSizer {
 public:
  // A mixed step shall take `step_seconds_max`; never more than `tokens_max` tokens of prompts.
  StepSizer(double step_seconds_max, int64_t tokens_max);

  // For the next step.
  int64_t prompt_tokens() const;
  // What a step took that had so many tokens of prompts, and so many answers that went on.
  void add(int64_t prompt_tokens, int64_t decoding, double seconds);

 private:
  double step_seconds_max_;
  int64_t tokens_max_;
  double decode_seconds_ = 0;            // of steps without prompts, recently
  int64_t measured_tokens_ = 0;          // of prompts, in the step that told their cost; 0: none yet
  double prompt_seconds_per_token_ = 0;  // in that step
};

}  // namespace beryl::engine
