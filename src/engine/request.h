// What is asked of an engine, and what it answers: plain structs. Read this first of the engine's headers,
// then pages.h, page_table.h, prefix_cache.h, scheduler.h, engine_core.h and engine.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sampler.h"
#include "engine/sampling_params.h"
#include "engine/token_constraint.h"

namespace beryl::engine {

using TimePoint = std::chrono::steady_clock::time_point;
using RequestId = uint64_t;

enum class FinishReason : uint8_t {
  kStop,       // an end token was chosen, or the listener had enough
  kLength,     // the limit of new tokens, or of the context
  kCancelled,  // Engine::cancel(), or the engine was shut down
  kDeadline,   // Request::deadline passed
  kFailed,     // SampleResult::error says why
};

std::string_view finish_reason_name(FinishReason reason);

// One of the answers to a request.
struct SampleResult {
  RequestId request = 0;
  int32_t sample = 0;           // of Request::samples
  std::vector<int32_t> tokens;  // the answer, without the end token
  FinishReason finish_reason = FinishReason::kStop;
  std::optional<int32_t> end_token = {};  // the one of Request::end_tokens that ended it
  std::exception_ptr error = {};          // kFailed: an Error, or what a listener threw
  // Of the prompt: fed to the model for this sample, and found in the prefix cache (or, for all samples but
  // the first, shared with it). What was computed again after a preemption is not counted again.
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  double queued_seconds = 0;  // from submission to its first step
  double prompt_seconds = 0;  // from there to the first new token
  double decode_seconds = 0;  // from there to the end

  // Of the answer; 0 when it took no time.
  double tokens_per_second() const {
    return decode_seconds > 0 ? static_cast<double>(tokens.size()) / decode_seconds : 0;
  }
};

// Hears of one request. Called on the engine's thread, so that an answer can be ended before another token is
// computed: it must return quickly and must not call back into the engine, but for Engine::cancel(). What it
// throws ends its sample with kFailed; on_finish() must not throw.
class RequestListener {
 public:
  virtual ~RequestListener() = default;
  // With Request::prompt_logprobs: prompt[position], for 1, 2, ... in order.
  virtual void on_prompt_token(int64_t /*position*/, const Sample& /*token*/) {}
  // The model's own logits [V] after the token at `position` of the text, wherever they are computed: after
  // the prompt's last token, after every new one, and after all of the prompt's with
  // Request::every_prompt_row.
  virtual void on_logits(int32_t /*sample*/, int64_t /*position*/, std::span<const float> /*logits*/) {}
  // A new token; false: the answer ends with it.
  virtual bool on_token(int32_t sample, const Sample& token) = 0;
  // Once for each sample, in any order; the last word on it.
  virtual void on_finish(const SampleResult& result) = 0;
};

struct Request {
  std::vector<int32_t> prompt;  // at least one token
  SamplingParams sampling = {};
  std::vector<int32_t> end_tokens = {};  // each ends an answer and is not part of it
  int64_t new_tokens_min = 0;            // before as many no end token can be chosen
  int64_t new_tokens_max = 0;            // 0: the prompt alone is computed
  // What every answer must follow, and where it may end; empty: anything goes. Not with new_tokens_min.
  ConstraintFactory make_constraint = {};
  int32_t samples = 1;   // answers to the prompt, which is computed once; sample i draws by i
  int32_t priority = 0;  // higher ones are admitted earlier and preempted later
  std::optional<TimePoint> deadline = {};
  // Log-probabilities of the prompt's tokens, with so many alternatives. Such a request takes nothing from
  // the prefix cache, since rows that were computed earlier left no logits.
  std::optional<int32_t> prompt_logprobs = {};
  bool every_prompt_row = false;  // on_logits() for all of the prompt; likewise computed whole
  bool uses_prefix_cache = true;
  // Only requests with the same salt share what they computed.
  std::string cache_salt = {};
  // Lengths of beginnings of the prompt at which a later request is likely to part from it: worth keeping.
  std::vector<int64_t> snapshot_positions = {};
  std::shared_ptr<RequestListener> listener;  // not null

  bool wants_every_prompt_row() const { return prompt_logprobs.has_value() || every_prompt_row; }
};

}  // namespace beryl::engine
