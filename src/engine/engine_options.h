// How an engine divides memory and time among requests, and the figures it publishes about itself.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/request.h"

namespace beryl::engine {

struct EngineOptions {
  int64_t context_max = 8192;  // tokens of one text, prompt and answer together
  int64_t sequences_max = 8;   // answers in progress at a time
  int64_t tokens_per_page = 16;
  int64_t sliding_pages = 0;  // of the runner's cache; memory_plan.h finds these
  int64_t full_pages = 0;
  int64_t prefix_sliding_pages = 0;  // of the sliding ones, at most so many are held for later requests alone
  bool has_prefix_cache = true;
  int64_t snapshot_interval = 2048;  // of long prompts a beginning is kept every so many tokens
  int64_t chunk_tokens = 1024;       // of prompts in a step in which nothing else runs
  double step_seconds_max = 1.0;     // while an answer is being generated
  int64_t prompt_rows_max = 128;     // logits rows of prompts in a step
  int64_t queue_requests_max = 256;
  int64_t queue_tokens_max = 1'000'000;
  int32_t samples_max = 8;
};

struct RequestStatus {
  RequestId id = 0;
  int32_t sample = 0;
  bool is_running = false;
  int64_t prompt_tokens = 0;
  int64_t computed_tokens = 0;  // of prompt and answer
  int64_t new_tokens = 0;
};

// How many steps took how many tokens, of prompts and answers together.
struct StepTokens {
  static constexpr std::array<int64_t, 13> kBounds = {1,   8,    16,   32,   64,   128,  256,
                                                      512, 1024, 2048, 4096, 8192, 16384};

  void add(int64_t tokens) {
    ++counts[static_cast<size_t>(std::ranges::lower_bound(kBounds, tokens) - kBounds.begin())];
    sum += static_cast<uint64_t>(tokens);
  }

  std::array<uint64_t, kBounds.size() + 1> counts = {};  // up to each bound, and beyond the last
  uint64_t sum = 0;
};

// Counters count from the engine's start.
struct EngineStats {
  int64_t waiting = 0;  // samples
  int64_t running = 0;
  int64_t waiting_tokens = 0;
  int64_t sliding_pages = 0, sliding_pages_used = 0;  // used: by answers in progress or the prefix cache
  int64_t full_pages = 0, full_pages_used = 0;
  int64_t prefix_snapshots = 0;
  int64_t prefix_sliding_pages = 0, prefix_full_pages = 0;  // held by the prefix cache
  int64_t tokens_per_page = 0;
  bool has_prefix_cache = false;

  uint64_t steps = 0;
  uint64_t abandoned_steps = 0;  // given up for a cancel
  StepTokens step_tokens;        // of the others
  uint64_t prompt_tokens_computed = 0;
  uint64_t prompt_tokens_cached = 0;
  uint64_t new_tokens = 0;
  uint64_t preemptions = 0;
  uint64_t prefix_queries = 0, prefix_hits = 0, prefix_evictions = 0;
  uint64_t numeric_errors = 0;
  uint64_t finished[5] = {};  // by FinishReason
  double last_step_seconds = 0;
  int64_t last_step_prompt_tokens = 0;
  int64_t last_step_new_tokens = 0;
  std::vector<RequestStatus> requests;  // those in progress and waiting, in order of admission
};

}  // namespace beryl::engine
