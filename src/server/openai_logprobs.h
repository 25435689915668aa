// Log-probabilities in the shapes that OpenAI's clients read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/sampler.h"
#include "server/json_fields.h"
#include "text/tokenizer.h"

namespace beryl::server {

// JSON has no infinity; this stands for the logarithm of zero.
inline constexpr double kLogprobMin = -9999.0;

// How tokens are called. Borrows the tokenizer.
class TokenNames {
 public:
  // `uses_ids`: "token_id:123" for every token.
  TokenNames(const text::Tokenizer& tokenizer, bool uses_ids) : tokenizer_(tokenizer), uses_ids_(uses_ids) {}

  // As it is decoded; a byte of a longer character as \xNN. Tokens of the model that the tokenizer does not
  // know have their id for a name.
  std::string name(int32_t token) const;
  // The bytes that it adds to the text.
  std::string bytes(int32_t token) const;

 private:
  bool is_known(int32_t token) const { return token >= 0 && token < tokenizer_.vocabulary_size(); }

  const text::Tokenizer& tokenizer_;
  bool uses_ids_;
};

// {"token", "logprob", "bytes", "top_logprobs": [{"token", "logprob", "bytes"}]}, of chats.
Json chat_logprob(const engine::Sample& sample, const TokenNames& names);

// {"tokens", "token_logprobs", "top_logprobs", "text_offset"}, of completions: four lists as long as each
// other.
class LegacyLogprobs {
 public:
  // With at most `top_count` alternatives, and the token itself if it is none of them.
  LegacyLogprobs(TokenNames names, int32_t top_count) : names_(names), top_count_(top_count) {}

  // `text_offset`: characters of the text before the token.
  void add(const engine::Sample& sample, int64_t text_offset);
  // The first token of a text has no probability.
  void add_first(int32_t token, int64_t text_offset);
  // What was added since the last call.
  Json take();

 private:
  TokenNames names_;
  int32_t top_count_;
  Json tokens_ = Json::array(), logprobs_ = Json::array(), top_ = Json::array(), offsets_ = Json::array();
};

// vLLM's `prompt_logprobs`: null for the first token, then {"TOKEN ID": {"logprob", "rank",
// "decoded_token"}}. The rank of a token that is none of the alternatives is null.
Json prompt_logprobs_json(std::span<const engine::Sample> samples, int32_t top_count,
                          const TokenNames& names);

}  // namespace beryl::server
