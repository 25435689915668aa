#include "engine/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace beryl::engine {
namespace {

using Clock = std::chrono::steady_clock;

// Prompt tokens between two looks at should_cancel.
constexpr size_t kPromptPart = 256;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool is_cancelled(const GenerationOptions& options) {
  return options.should_cancel && options.should_cancel();
}

// Before any of it is fed: a long prompt takes minutes, and is fed in parts that do not know the whole.
void check_prompt(std::span<const int32_t> prompt, int64_t capacity) {
  if (prompt.empty()) throw Error(ErrorCode::kInvalidInput, "the prompt is empty");
  if (static_cast<int64_t>(prompt.size()) <= capacity) return;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("the prompt comes to {} tokens, but there is room for {}", prompt.size(), capacity),
              "shorten the prompt, or make room for a longer text");
}

// Drops what the sequence holds beyond its common beginning with the prompt. At least the prompt's last token
// must be fed, since its logits are wanted.
int64_t keep_common_prefix(Sequence& sequence, std::span<const int32_t> prompt) {
  const std::span<const int32_t> held = sequence.tokens();
  const auto [in_held, in_prompt] = std::mismatch(held.begin(), held.end(), prompt.begin(), prompt.end());
  const int64_t common = std::min(in_prompt - prompt.begin(), static_cast<std::ptrdiff_t>(prompt.size()) - 1);
  sequence.truncate(common);
  return common;
}

}  // namespace

GenerationResult generate(Sequence& sequence, std::span<const int32_t> prompt,
                          const GenerationOptions& options, const std::function<bool(int32_t)>& on_token) {
  check_prompt(prompt, sequence.capacity());
  GenerationResult result;
  result.finish_reason = FinishReason::kLength;
  result.cached_tokens = keep_common_prefix(sequence, prompt);
  const std::span<const int32_t> rest = prompt.subspan(static_cast<size_t>(result.cached_tokens));

  const Clock::time_point start = Clock::now();
  std::span<const float> logits;
  for (size_t begin = 0; begin < rest.size(); begin += kPromptPart) {
    if (is_cancelled(options)) {
      result.finish_reason = FinishReason::kCancelled;
      return result;
    }
    const std::span<const int32_t> part = rest.subspan(begin, std::min(kPromptPart, rest.size() - begin));
    logits = sequence.append(part, LogitRows::kLast);
    result.prompt_tokens += static_cast<int64_t>(part.size());
    result.prompt_seconds = seconds_since(start);
  }

  TokenHistory history;
  history.add_prompt(prompt);
  Sampler sampler;
  const Clock::time_point decode_start = Clock::now();
  while (static_cast<int64_t>(result.tokens.size()) < options.new_tokens_max) {
    if (is_cancelled(options)) {
      result.finish_reason = FinishReason::kCancelled;
      break;
    }
    const int32_t token = sampler
                              .sample({.logits = logits,
                                       .params = options.sampling,
                                       .history = history,
                                       .position = static_cast<uint64_t>(sequence.length())})
                              .token;
    const auto& ends = options.end_tokens;
    if (std::find(ends.begin(), ends.end(), token) != ends.end()) {
      result.finish_reason = FinishReason::kStop;
      break;
    }
    result.tokens.push_back(token);
    history.add_output(token);
    if (!on_token(token)) {
      result.finish_reason = FinishReason::kStop;
      break;
    }
    const bool is_last = static_cast<int64_t>(result.tokens.size()) == options.new_tokens_max;
    if (is_last || sequence.length() + 1 > sequence.capacity()) break;
    logits = sequence.append({&token, 1}, LogitRows::kLast);
  }
  result.decode_seconds = seconds_since(decode_start);
  return result;
}

}  // namespace beryl::engine
