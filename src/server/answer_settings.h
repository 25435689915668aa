// What chat and completion requests have in common: how answers are chosen, where they end, how they come
// back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "server/api_model.h"
#include "server/json_fields.h"
#include "server/output_format.h"

namespace beryl::server {

struct AnswerSettings {
  engine::SamplingParams sampling = {};  // with a seed, and without log-probabilities
  int32_t samples = 1;
  std::optional<int64_t> new_tokens_max = {};
  int64_t new_tokens_min = 0;
  int32_t priority = 0;  // as the engine's: higher ones first
  std::string cache_salt = {};
  std::optional<int32_t> prompt_logprobs = {};

  std::vector<std::string> stops = {};
  std::vector<int32_t> stop_tokens = {};
  bool shows_stop = false;
  bool ignores_end = false;  // of the model's own end tokens
  bool skips_special_tokens = true;
  std::optional<OutputFormat> format = {};  // that answers must have

  bool streams = false;
  bool reports_usage = false;        // in a chunk of its own at the end of the stream
  bool reports_usage_often = false;  // in every chunk
  bool tokens_as_ids = false;        // "token_id:123" for the text of tokens in log-probabilities
  bool returns_token_ids = false;
};

// Errors: kInvalidInput and kUnsupported, naming the field.
AnswerSettings read_answer_settings(JsonFields& fields, const ApiModel& model);

// Whether answers may go on where the model would end them, which a constraint cannot let them.
bool goes_past_end(const AnswerSettings& settings);
// Throws kInvalidInput when it does and `field` asks for a constraint.
void check_ends(const AnswerSettings& settings, std::string_view field);

// A request for the engine, all but its listener. End tokens are the listener's business, which wants to see
// their log-probabilities, unless min_tokens keeps them from being chosen for a while.
engine::Request make_engine_request(const AnswerSettings& settings, const ApiModel& model,
                                    std::vector<int32_t> prompt);

// All tokens that end an answer.
std::vector<int32_t> end_tokens_of(const AnswerSettings& settings, const ApiModel& model);

}  // namespace beryl::server
