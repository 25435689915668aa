#include "server/answer_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/json.h"
#include "base/quote.h"
#include "engine/chat_model.h"

namespace beryl::server {
namespace {

constexpr int64_t kTokensMax = int64_t{1} << 30;
constexpr size_t kSaltBytesMax = 256;
// As engine::validate() has them.
constexpr double kTemperatureMax = 2;
constexpr double kRepetitionPenaltyMin = 0.01;
constexpr double kPenaltyMax = 2;
constexpr double kBiasMax = 100;

uint64_t draw_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

void read_float(JsonFields& fields, std::string_view name, double min, double max, float& value) {
  if (const auto field = fields.find_number(name, min, max)) value = static_cast<float>(*field);
}

// {"TOKEN ID": BIAS}
std::vector<engine::LogitBias> read_logit_bias(JsonFields& fields, const ApiModel& model) {
  const Json* const object = fields.find("logit_bias");
  if (object == nullptr) return {};
  const std::string path = fields.path_of("logit_bias");
  if (!object->is_object())
    fail_field(path, fmt::format("expected an object, found {}", json_kind(object->type())));
  if (object->size() > model.limits.logit_bias_max) {
    fail_field(
        path, fmt::format("{} entries, at most {} are allowed", object->size(), model.limits.logit_bias_max));
  }
  std::vector<engine::LogitBias> entries;
  for (const auto& [key, value] : object->items()) {
    int32_t token = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token);
    const bool is_number = error == std::errc() && end == key.data() + key.size();
    if (!is_number || token < 0 || token >= model.tokenizer.vocabulary_size()) {
      fail_field(path, fmt::format("expected token ids from 0 to {} as names, found {}",
                                   model.tokenizer.vocabulary_size() - 1, quote(key)));
    }
    const double bias = value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
    if (!(bias >= -kBiasMax && bias <= kBiasMax)) {
      fail_field(fmt::format("{}.{}", path, token),
                 fmt::format("expected a number from {} to {}", -kBiasMax, kBiasMax));
    }
    const auto is_same = [&](const engine::LogitBias& entry) { return entry.token == token; };
    if (std::ranges::any_of(entries, is_same)) fail_field(path, fmt::format("names token {} twice", token));
    entries.push_back({token, static_cast<float>(bias)});
  }
  return entries;
}

engine::SamplingParams read_sampling(JsonFields& fields, const ApiModel& model) {
  engine::SamplingParams params = engine::default_sampling(model.generation);
  read_float(fields, "temperature", 0, kTemperatureMax, params.temperature);
  read_float(fields, "top_p", 0, 1, params.top_p);
  read_float(fields, "min_p", 0, 1, params.min_p);
  read_float(fields, "repetition_penalty", kRepetitionPenaltyMin, kPenaltyMax, params.repetition_penalty);
  read_float(fields, "presence_penalty", -kPenaltyMax, kPenaltyMax, params.presence_penalty);
  read_float(fields, "frequency_penalty", -kPenaltyMax, kPenaltyMax, params.frequency_penalty);
  if (const auto top_k = fields.find_integer("top_k", -1, std::numeric_limits<int32_t>::max())) {
    params.top_k = static_cast<int32_t>(*top_k);
  }
  params.logit_bias = read_logit_bias(fields, model);
  const std::optional<uint64_t> seed = fields.find_bits("seed");
  params.seed = seed ? *seed : draw_seed();
  return params;
}

void read_ends(JsonFields& fields, const ApiModel& model, AnswerSettings& settings) {
  settings.stops = fields.find_texts("stop", model.limits.stops_max);
  for (const std::string& stop : settings.stops) {
    if (stop.empty()) fail_field(fields.path_of("stop"), "a stop string must not be empty");
    if (stop.size() > model.limits.stop_bytes_max) {
      fail_field(fields.path_of("stop"), fmt::format("a string of {} bytes, at most {} are allowed",
                                                     stop.size(), model.limits.stop_bytes_max));
    }
  }
  settings.stop_tokens = fields.find_tokens("stop_token_ids", model.tokenizer.vocabulary_size());
  if (settings.stop_tokens.size() > model.limits.logit_bias_max) {
    fail_field(fields.path_of("stop_token_ids"),
               fmt::format("at most {} are allowed", model.limits.logit_bias_max));
  }
  settings.shows_stop = fields.find_boolean("include_stop_str_in_output").value_or(false);
  settings.ignores_end = fields.find_boolean("ignore_eos").value_or(false);
  settings.new_tokens_min = fields.find_integer("min_tokens", 0, kTokensMax).value_or(0);
  settings.new_tokens_max = fields.find_integer("max_tokens", 0, kTokensMax);
  settings.skips_special_tokens = fields.find_boolean("skip_special_tokens").value_or(true);
}

void read_stream(JsonFields& fields, AnswerSettings& settings) {
  settings.streams = fields.find_boolean("stream").value_or(false);
  const Json* const object = fields.find("stream_options");
  if (object == nullptr) return;
  if (!settings.streams) fail_field(fields.path_of("stream_options"), "is allowed only when stream is true");
  JsonFields options(*object, fields.path_of("stream_options"));
  settings.reports_usage = options.find_boolean("include_usage").value_or(false);
  settings.reports_usage_often = options.find_boolean("continuous_usage_stats").value_or(false);
}

void refuse_unsupported(JsonFields& fields) {
  fields.refuse("allowed_token_ids", "not supported; logit_bias may do");
  const Json* const bad_words = fields.find("bad_words");
  if (bad_words != nullptr && !bad_words->empty()) fields.refuse("bad_words", "not supported");
  if (const auto best_of = fields.find_integer("best_of", 1, kTokensMax)) {
    const auto samples = fields.find_integer("n", 1, kTokensMax).value_or(1);
    if (*best_of != samples) fields.refuse("best_of", "only the value of n is supported");
  }
  if (fields.find_boolean("use_beam_search").value_or(false))
    fields.refuse("use_beam_search", "not supported");
}

}  // namespace

AnswerSettings read_answer_settings(JsonFields& fields, const ApiModel& model) {
  AnswerSettings settings = {.sampling = read_sampling(fields, model)};
  settings.samples = static_cast<int32_t>(fields.find_integer("n", 1, model.limits.samples_max).value_or(1));
  read_ends(fields, model, settings);
  read_stream(fields, settings);
  settings.format = read_output_format(fields);
  if (settings.format) check_ends(settings, settings.format->field);
  refuse_unsupported(fields);
  // Lower numbers go first on the wire, as with vLLM.
  constexpr int64_t kPriorityMax = std::numeric_limits<int32_t>::max();
  const int64_t priority = fields.find_integer("priority", -kPriorityMax, kPriorityMax).value_or(0);
  settings.priority = static_cast<int32_t>(-priority);
  settings.cache_salt = fields.find_text("cache_salt").value_or("");
  if (settings.cache_salt.size() > kSaltBytesMax) {
    fail_field(fields.path_of("cache_salt"), fmt::format("at most {} bytes are allowed", kSaltBytesMax));
  }
  if (const auto count = fields.find_integer("prompt_logprobs", 0, model.limits.top_logprobs_max)) {
    if (settings.streams)
      fail_field(fields.path_of("prompt_logprobs"), "is allowed only when stream is false");
    settings.prompt_logprobs = static_cast<int32_t>(*count);
  }
  settings.tokens_as_ids = fields.find_boolean("return_tokens_as_token_ids").value_or(false);
  settings.returns_token_ids = fields.find_boolean("return_token_ids").value_or(false);
  if (settings.new_tokens_max && settings.new_tokens_min > *settings.new_tokens_max) {
    fail_field(fields.path_of("min_tokens"), fmt::format("{} is more than max_tokens, {}",
                                                         settings.new_tokens_min, *settings.new_tokens_max));
  }
  fields.ignore({"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
                 "request_id", "spaces_between_special_tokens", "parallel_tool_calls"});
  return settings;
}

bool goes_past_end(const AnswerSettings& settings) {
  return settings.new_tokens_min > 0 || settings.ignores_end;
}

void check_ends(const AnswerSettings& settings, std::string_view field) {
  if (!goes_past_end(settings)) return;
  fail_field(settings.ignores_end ? "ignore_eos" : "min_tokens",
             fmt::format("cannot be asked for together with {}, which says where an answer ends", field));
}

std::vector<int32_t> end_tokens_of(const AnswerSettings& settings, const ApiModel& model) {
  std::vector<int32_t> tokens = settings.stop_tokens;
  if (!settings.ignores_end) {
    tokens.insert(tokens.end(), model.generation.eos_token_ids.begin(), model.generation.eos_token_ids.end());
  }
  return tokens;
}

engine::Request make_engine_request(const AnswerSettings& settings, const ApiModel& model,
                                    std::vector<int32_t> prompt) {
  const auto length = static_cast<int64_t>(prompt.size());
  const int64_t room = std::max<int64_t>(0, model.context - length);
  engine::Request request = {.prompt = std::move(prompt),
                             .sampling = settings.sampling,
                             .new_tokens_max = settings.new_tokens_max.value_or(room),
                             .samples = settings.samples,
                             .priority = settings.priority,
                             .prompt_logprobs = settings.prompt_logprobs,
                             .cache_salt = settings.cache_salt};
  request.new_tokens_min = std::min(settings.new_tokens_min, request.new_tokens_max);
  if (request.new_tokens_min > 0) request.end_tokens = end_tokens_of(settings, model);
  return request;
}

}  // namespace beryl::server
