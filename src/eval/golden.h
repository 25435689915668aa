// eval: how far a model's results are from a reference.
//
// In:  a model, reference data from other tools.
// Out: figures and verdicts.
// Must never know: HTTP, terminals.
//
// Golden files hold prompts with the logits and greedy tokens of a float32 run over the exactly dequantised
// weights; testdata/README.md describes them. Greedy tokens are compared teacher-forced on the recorded
// ones, so that one near tie does not spoil what follows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace beryl::eval {

struct GoldenPrompt {
  std::vector<int32_t> input_ids;          // [T]
  std::vector<float> logits;               // [T, V] after the soft cap
  std::vector<int32_t> greedy;             // [S]
  std::vector<float> greedy_margin;        // [S] largest minus second largest logit
  std::vector<std::vector<float>> hidden;  // [L + 1][T, D]; empty when the file has none
};

struct GoldenFile {
  std::vector<GoldenPrompt> prompts;
};

// Errors: as File and safetensors; kInvalidInput when a tensor is missing or its type or shape does not fit.
GoldenFile load_golden(const std::filesystem::path& path);

// SHA-256 of each quantised module's float32 values, row-major, by the module's published name.
struct GoldenModule {
  std::string name;
  std::vector<int64_t> shape;
  std::string sha256;  // lower-case hexadecimal
};

std::vector<GoldenModule> load_golden_modules(const std::filesystem::path& path);

}  // namespace beryl::eval
