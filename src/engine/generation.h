// Generates the answer to one prompt on one sequence.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "engine/sampler.h"
#include "engine/sequence.h"

namespace beryl::engine {

struct GenerationOptions {
  SamplingParams sampling = {};
  int64_t new_tokens_max = 0;
  std::vector<int32_t> end_tokens = {};  // each ends the answer and is not part of it
  // Asked on this thread before every new token and every few hundred tokens of the prompt. Empty: never.
  std::function<bool()> should_cancel = {};
};

struct GenerationResult {
  std::vector<int32_t> tokens;  // the answer, without the end token
  FinishReason finish_reason = FinishReason::kStop;
  int64_t prompt_tokens = 0;  // fed to the model here
  int64_t cached_tokens = 0;  // of the prompt, already in the cache
  double prompt_seconds = 0;
  double decode_seconds = 0;

  // Of the answer; 0 when it took no time.
  double tokens_per_second() const {
    return decode_seconds > 0 ? static_cast<double>(tokens.size()) / decode_seconds : 0;
  }
};

// Continues `prompt`, all of it, of which the sequence may already hold the beginning; what it holds beyond
// the common part is dropped. Each new token is passed to `on_token`, which returns false to end the answer
// there (that token is part of it). The sequence then holds what was fed: the prompt and the answer, of which
// the last token may be missing; after a cancel within the prompt, the part before it. Errors: kInvalidInput
// for a prompt that is empty or longer than the sequence's capacity (both numbers), and the sequence is
// unchanged; as Sequence::append() and Sampler::sample().
GenerationResult generate(Sequence& sequence, std::span<const int32_t> prompt,
                          const GenerationOptions& options, const std::function<bool(int32_t)>& on_token);

}  // namespace beryl::engine
