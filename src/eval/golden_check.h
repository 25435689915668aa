// Compares a model with a golden file.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "checkpoint/weight_map.h"
#include "engine/sequence.h"
#include "eval/golden.h"
#include "model/network.h"

namespace beryl::eval {

// What counts as agreement. A bound that is absent is not checked.
struct GoldenBounds {
  std::optional<double> logit_difference_max = {};  // largest difference of any logit
  std::optional<double> kl_mean_max = {};           // mean divergence a position, in nats
  // Greedy tokens must be equal where the recorded margin is larger than this.
  std::optional<double> margin_min = {};
};

// The bounds for a mode: exact arithmetic is held to each logit and greedy token, rounded arithmetic to the
// distribution, more loosely where experts are chosen: a choice between near equals flips with any rounding.
GoldenBounds default_bounds(backend::Compute compute, const checkpoint::ModelConfig& config);

struct PromptResult {
  int64_t positions = 0;
  double logit_difference_max = 0;  // over the prompt's logits
  double kl_mean = 0;               // of the golden distribution from ours, nats
  double kl_max = 0;
  int64_t greedy_tokens = 0;
  int64_t greedy_equal = 0;
  int64_t greedy_wrong = 0;          // differ although the recorded margin exceeds the bound
  double margin_difference_max = 0;  // between the recorded margins and ours
  // Our log-probability of each token of prompt and greedy answer but the first, [T + S - 1].
  std::vector<double> logprobs;
};

// The first intermediate stream that is off by more than a tolerance.
struct HiddenDifference {
  size_t prompt = 0;
  size_t hidden = 0;  // 0 the embedding, l after layer l - 1
  double difference_max = 0;
};

struct GoldenResult {
  std::vector<PromptResult> prompts;
  double logit_difference_max = 0;
  double kl_mean = 0;  // over all positions
  int64_t greedy_tokens = 0;
  int64_t greedy_equal = 0;
  int64_t greedy_wrong = 0;
  std::optional<HiddenDifference> hidden_difference;  // only when asked for and found
  bool passed = false;
};

struct GoldenOptions {
  GoldenBounds bounds = {};
  int64_t chunk_tokens = 256;
  int64_t tokens_per_page = 16;
  // Compare the streams between layers as well, to this tolerance.
  std::optional<double> hidden_tolerance = {};
  // Run in this pass what another observer asks for, such as forced experts; indexed by prompt.
  std::vector<model::Observer*> observers = {};
};

// Errors: kInvalidInput when the golden file belongs to another vocabulary; as engine::generate().
GoldenResult check_golden(const model::Network& network, backend::Backend& backend, const GoldenFile& golden,
                          const GoldenOptions& options);

struct ModuleMismatch {
  std::string name;
  std::string found;  // SHA-256, or why there is none
};

// Decodes the listed modules and compares their SHA-256. Returns those that differ. Modules that the weight
// map skips (unused keys and values) are passed over.
std::vector<ModuleMismatch> check_modules(const checkpoint::WeightMap& weights,
                                          std::span<const GoldenModule> modules);

}  // namespace beryl::eval
