// Measures prefill and decode of a loaded network, with the engine's own forward pass.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/progress.h"
#include "checkpoint/weight_map.h"
#include "eval/bench_routing.h"
#include "eval/bench_traffic.h"
#include "model/network.h"

namespace beryl::eval {

struct BenchOptions {
  std::vector<int64_t> prompts;  // lengths in tokens
  std::vector<int64_t> depths;   // tokens in the cache before decoding
  std::vector<int64_t> batches;  // streams that decode together
  int64_t runs = 3;
  int64_t steps = 16;    // decode steps of one run
  int64_t chunk = 1024;  // tokens of a prompt fed at a time
  BenchRouting routing = BenchRouting::kModel;
};

// What this machine can do at most, measured when it is called: the machine may be shared, and change.
struct MachineLimits {
  std::function<double()> read_bandwidth;  // bytes a second
  std::function<double()> multiply_peak;   // operations a second
};

struct PrefillResult {
  int64_t tokens = 0;
  double seconds = 0;     // median
  double operations = 0;  // of the linear layers that had to run
  double peak = 0;        // operations a second, median of measurements beside the runs

  double tokens_per_second() const { return static_cast<double>(tokens) / seconds; }
  double operations_per_second() const { return operations / seconds; }
  double share() const { return operations_per_second() / peak; }
};

struct DecodeResult {
  int64_t depth = 0;
  int64_t batch = 1;
  double seconds_per_step = 0;  // median
  double bytes_per_step = 0;    // weights of the experts that took part, all others, keys and values
  double read_bandwidth = 0;    // bytes a second, median of measurements beside the runs

  double tokens_per_second() const { return static_cast<double>(batch) / seconds_per_step; }
  double bytes_per_token() const { return bytes_per_step / static_cast<double>(batch); }
  double bytes_per_second() const { return bytes_per_step / seconds_per_step; }
  double share() const { return bytes_per_second() / read_bandwidth; }
};

struct BenchResult {
  std::vector<PrefillResult> prefill;
  std::vector<DecodeResult> decode;  // by depth, then batch
};

// The largest cache that the measurements take, one after another.
uint64_t bench_cache_bytes(const checkpoint::ModelConfig& config, const backend::Backend& backend,
                           const BenchOptions& options);

// A network and where it runs.
struct BenchSubject {
  const model::Network& network;
  const checkpoint::WeightMap& weights;
  backend::Backend& backend;
  backend::Compute compute;
};

// Progress counts runs. Errors: kNumeric when logits are not finite; kResource.
BenchResult run_bench(const BenchSubject& subject, const BenchOptions& options, const MachineLimits& limits,
                      Progress& progress);

}  // namespace beryl::eval
