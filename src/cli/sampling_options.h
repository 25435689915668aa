// Flags that choose how tokens are sampled, over the model's own defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/generation_config.h"
#include "engine/sampling_params.h"

namespace CLI {
class App;
}

namespace beryl::cli {

struct SamplingOptions {
  std::optional<float> temperature, top_p, min_p;
  std::optional<float> repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<int32_t> top_k;
  std::optional<uint64_t> seed;
  std::vector<std::string> stops;
  int64_t new_tokens_max = 2048;
};

void add_sampling_options(CLI::App& command, SamplingOptions& options);

// What generation_config.json says, with what the flags change. A seed is drawn when none is given.
// Errors: as validate().
engine::SamplingParams make_sampling(const SamplingOptions& options,
                                     const checkpoint::GenerationConfig& config, int64_t vocabulary_size);

// "temperature 1, top-k 64, top-p 0.95, seed 123": for --verbose.
std::string describe(const engine::SamplingParams& params);

}  // namespace beryl::cli
