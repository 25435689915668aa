#include "engine/sampling_params.h"

#include <fmt/format.h>

#include <string_view>
#include <unordered_set>

#include "base/error.h"

namespace beryl::engine {
namespace {

constexpr float kTemperatureMax = 2;
constexpr float kRepetitionPenaltyMin = 0.01F;  // it divides logits; far below, the quotients overflow
constexpr float kPenaltyMax = 2;
constexpr float kBiasMax = 100;
constexpr size_t kLogitBiasCountMax = 1024;  // a client sends these; each costs time at every token

// Written so that NaN is outside of every range.
void check_range(std::string_view field, float value, float low, float high) {
  if (value >= low && value <= high) return;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{} is {}, expected a number from {} to {}", field, value, low, high));
}

void check_token(std::string_view field, int32_t token, int32_t vocab_size) {
  if (token >= 0 && token < vocab_size) return;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{} names token {}, expected 0 to {}", field, token, vocab_size - 1));
}

void check_logit_bias(const std::vector<LogitBias>& entries, int32_t vocab_size) {
  if (entries.size() > kLogitBiasCountMax) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("logit_bias has {} entries, expected at most {}",
                                                      entries.size(), kLogitBiasCountMax));
  }
  std::unordered_set<int32_t> seen;
  for (const LogitBias& entry : entries) {
    check_token("logit_bias", entry.token, vocab_size);
    check_range(fmt::format("logit_bias of token {}", entry.token), entry.bias, -kBiasMax, kBiasMax);
    if (!seen.insert(entry.token).second) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("logit_bias names token {} twice, expected once", entry.token));
    }
  }
}

}  // namespace

void validate(const SamplingParams& params, int32_t vocab_size) {
  check_range("temperature", params.temperature, 0, kTemperatureMax);
  if (params.top_k < -1) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("top_k is {}, expected at least 1, or 0 or -1 for no limit", params.top_k));
  }
  check_range("top_p", params.top_p, 0, 1);
  check_range("min_p", params.min_p, 0, 1);
  check_range("repetition_penalty", params.repetition_penalty, kRepetitionPenaltyMin, kPenaltyMax);
  check_range("presence_penalty", params.presence_penalty, -kPenaltyMax, kPenaltyMax);
  check_range("frequency_penalty", params.frequency_penalty, -kPenaltyMax, kPenaltyMax);
  check_logit_bias(params.logit_bias, vocab_size);
  for (const int32_t token : params.suppressed_tokens) check_token("suppress_tokens", token, vocab_size);
  if (params.top_logprobs && (*params.top_logprobs < 0 || *params.top_logprobs > kTopLogprobsMax)) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("top_logprobs is {}, expected 0 to {}", *params.top_logprobs, kTopLogprobsMax));
  }
}

}  // namespace beryl::engine
