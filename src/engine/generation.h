// One answer at a time, for callers that wait for it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/request.h"

namespace beryl::engine {

struct GenerationOptions {
  SamplingParams sampling = {};
  int64_t new_tokens_max = 0;
  std::vector<int32_t> end_tokens = {};          // each ends the answer and is not part of it
  std::vector<int64_t> snapshot_positions = {};  // as Request's
  ConstraintFactory make_constraint = {};        // as Request's
  // Asked on the calling thread several times a second. Empty: never.
  std::function<bool()> should_cancel = {};
};

// Continues `prompt` and waits. Each new token is passed to `on_token`, on the engine's thread, which returns
// false to end the answer there (that token is part of it). Errors: as Engine::submit(), those that the
// request failed with, and what `on_token` throws.
SampleResult generate(Engine& engine, std::span<const int32_t> prompt, const GenerationOptions& options,
                      const std::function<bool(int32_t)>& on_token);

// Submits a request with one sample, whose listener must be null, and waits for its end, passing on what
// `listener` hears. Errors: as generate().
SampleResult run_request(Engine& engine, Request request, RequestListener& listener,
                         const std::function<bool()>& should_cancel);

}  // namespace beryl::engine
