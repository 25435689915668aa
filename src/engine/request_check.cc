#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "engine/engine_core.h"

namespace beryl::engine {
namespace {

void check_tokens(std::string_view field, std::span<const int32_t> tokens, int64_t vocabulary_size) {
  for (const int32_t token : tokens) {
    if (token >= 0 && token < vocabulary_size) continue;
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: token id {}, expected 0 to {} (the model's vocabulary)", field, token,
                            vocabulary_size - 1));
  }
}

void check_range(std::string_view field, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return;
  throw Error(ErrorCode::kInvalidInput, fmt::format("{} is {}, expected {} to {}", field, value, min, max));
}

void check_fits(const Request& request, const EngineOptions& options, int64_t window) {
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  const int64_t room = options.context_max - (request.new_tokens_max > 0 ? 1 : 0);
  if (prompt > room) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("the prompt comes to {} tokens, but there is room for {} in a context of {}",
                            prompt, room, options.context_max),
                "shorten the prompt, or make room for a longer text (--ctx)");
  }
  const int64_t length = std::min(options.context_max, prompt + request.new_tokens_max);
  // A text that begins within a shared page has a copy of it.
  const int64_t full = (length + options.tokens_per_page - 1) / options.tokens_per_page + 1;
  const int64_t sliding =
      std::min(full, (window + options.tokens_per_page - 2) / options.tokens_per_page + 3);
  if (full > options.full_pages || sliding > options.sliding_pages) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("a text of {} tokens takes {} pages of full and {} of sliding layers, but there are {} "
                    "and {}",
                    length, full, sliding, options.full_pages, options.sliding_pages),
        "ask for fewer tokens, or give the cache more memory (--kv-memory)");
  }
}

}  // namespace

void validate(const Request& request, const EngineOptions& options, int64_t window, int64_t vocabulary_size) {
  if (request.prompt.empty()) throw Error(ErrorCode::kInvalidInput, "the prompt is empty");
  check_tokens("prompt", request.prompt, vocabulary_size);
  check_tokens("end tokens", request.end_tokens, vocabulary_size);
  validate(request.sampling, static_cast<int32_t>(vocabulary_size));
  check_range("samples", request.samples, 1, options.samples_max);
  check_range("new_tokens_max", request.new_tokens_max, 0, INT64_MAX / 2);
  check_range("new_tokens_min", request.new_tokens_min, 0, request.new_tokens_max);
  if (request.make_constraint && request.new_tokens_min > 0) {
    throw Error(
        ErrorCode::kInvalidInput,
        "new_tokens_min and a constraint exclude each other: the constraint says where an answer ends");
  }
  if (request.prompt_logprobs) check_range("prompt_logprobs", *request.prompt_logprobs, 0, kTopLogprobsMax);
  check_fits(request, options, window);
}

}  // namespace beryl::engine
