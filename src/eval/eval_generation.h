// How an evaluation has answers generated: many at a time, and it does not matter by what.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/request.h"

namespace beryl::eval {

struct GenerationTask {
  std::vector<int32_t> prompt;
  engine::SamplingParams sampling = {};
  int64_t new_tokens_max = 0;
  std::vector<int32_t> end_tokens = {};
  // Each new token as it comes, on another thread; false: the answer ends with it. One call at a time for
  // each task, none after `on_done`.
  std::function<bool(int32_t)> on_token;
};

struct Generated {
  int64_t new_tokens = 0;
  int64_t prompt_tokens = 0;  // fed to the model
  int64_t cached_tokens = 0;  // of the prompt, known from earlier ones
  engine::FinishReason finish_reason = engine::FinishReason::kStop;
};

// Answers all tasks and tells of each one when it is done, in any order, on the calling thread. Returns
// early, and says nothing of tasks that were begun, when `should_stop` says so, which is asked several times
// a second.
using Generate = std::function<void(std::span<const GenerationTask> tasks,
                                    const std::function<void(size_t task, const Generated&)>& on_done,
                                    const std::function<bool()>& should_stop)>;

// As many at a time as the engine takes. What all prompts begin with is computed once, before the others
// start. Borrows the engine. Errors of the calls: as Engine::submit(), and what a request failed with.
Generate generate_on(engine::Engine& engine);

// The number of tokens that all prompts begin with.
int64_t common_prefix(std::span<const GenerationTask> tasks);

}  // namespace beryl::eval
