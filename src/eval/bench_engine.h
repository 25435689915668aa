// Measures the engine under continuous batching: streams that decode together, alone and beside long prompts
// that are admitted meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backend/backend.h"
#include "base/progress.h"
#include "checkpoint/model_config.h"
#include "engine/memory_plan.h"
#include "eval/bench_routing.h"
#include "model/network.h"

namespace beryl::eval {

struct EngineBenchOptions {
  std::vector<int64_t> streams;       // numbers of requests that decode together; each at least 1
  int64_t runs = 3;                   // for each number
  int64_t steps = 16;                 // tokens of each stream in a run without prompts
  int64_t prompt_tokens = 64;         // of each stream
  int64_t long_prompt_tokens = 2000;  // 0: none is admitted
  double step_seconds = 1.0;          // as EngineOptions::step_seconds_max
  int64_t chunk_tokens = 1024;        // as EngineOptions
  BenchRouting routing = BenchRouting::kModel;
};

// Times between neighbouring tokens of a stream, of all streams and runs.
struct Gaps {
  int64_t count = 0;
  double p50_seconds = 0, p99_seconds = 0, max_seconds = 0;
};

// In any order; all zero when there are none.
Gaps summarize_gaps(std::vector<double> seconds);

struct LongPromptsResult {
  int64_t prompts = 0;  // one a run
  int64_t prompt_tokens = 0;
  double seconds = 0;         // of all prompts together, each from its submission to the token after it
  int64_t stream_tokens = 0;  // what the streams were given in that time
  Gaps gaps;                  // of these tokens to those before

  double prompt_tokens_per_second() const { return static_cast<double>(prompts * prompt_tokens) / seconds; }
  double stream_tokens_per_second() const { return static_cast<double>(stream_tokens) / seconds; }
};

struct ManyStreamsResult {
  int64_t streams = 0;
  // Of all runs together, without prompts; each from one token of every stream to that `steps` later.
  int64_t tokens = 0;
  double seconds = 0;
  Gaps gaps;
  std::optional<LongPromptsResult> long_prompts = {};

  double tokens_per_second() const { return static_cast<double>(tokens) / seconds; }
};

// Memory for the largest number of streams and a long prompt beside them. Errors: kInvalidInput when texts
// get longer than the model has positions; kResource with both numbers when it does not fit.
engine::MemoryPlan plan_engine_bench(const checkpoint::ModelConfig& config, const backend::Backend& backend,
                                     uint64_t weight_bytes, uint64_t available_bytes,
                                     const EngineBenchOptions& options);

// A network, where it runs, and the memory of its keys and values.
struct EngineBenchSubject {
  const model::Network& network;
  backend::Backend& backend;
  const engine::MemoryPlan& plan;  // as plan_engine_bench() with the same options
};

// Random prompts; the most likely token always, and none that ends an answer. One result for each number of
// streams, in their order. Progress counts runs. Errors: those that a request fails with; kResource when
// streams came to the end of their context before a long prompt was computed.
std::vector<ManyStreamsResult> run_engine_bench(const EngineBenchSubject& subject,
                                                const EngineBenchOptions& options, Progress& progress);

}  // namespace beryl::eval
