// Any bytes as the body of a chat or completion request: an Error, or a request that stays within every
// limit. The first byte says which of the two: 'c', or another for a completion.
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "base/json.h"
#include "engine/sampling_params.h"
#include "server/chat_request.h"
#include "server/completion_request.h"
#include "server/endpoints.h"
#include "text/random_tables.h"

namespace {

using beryl::server::AnswerSettings;
using beryl::server::ApiModel;
using beryl::server::JsonFields;

constexpr std::string_view kTemplate =
    "{{ bos_token }}{% for message in messages %}{{ message.role }}{{ message.content | string }}{% endfor "
    "%}";

void check_settings(const AnswerSettings& settings, const ApiModel& model) {
  beryl::engine::validate(settings.sampling, model.tokenizer.vocabulary_size());
  BERYL_CHECK(settings.samples >= 1 && settings.samples <= model.limits.samples_max);
  BERYL_CHECK(settings.new_tokens_min >= 0);
  BERYL_CHECK(!settings.new_tokens_max || *settings.new_tokens_max >= settings.new_tokens_min);
  BERYL_CHECK(settings.stops.size() <= model.limits.stops_max);
  for (const std::string& stop : settings.stops) {
    BERYL_CHECK(!stop.empty() && stop.size() <= model.limits.stop_bytes_max);
  }
  for (const int32_t token : settings.stop_tokens) {
    BERYL_CHECK(token >= 0 && token < model.tokenizer.vocabulary_size());
  }
  BERYL_CHECK(!settings.prompt_logprobs || (*settings.prompt_logprobs <= model.limits.top_logprobs_max &&
                                            *settings.prompt_logprobs >= 0 && !settings.streams));
  BERYL_CHECK(!settings.format || !beryl::server::goes_past_end(settings));
  BERYL_CHECK(settings.streams || (!settings.reports_usage && !settings.reports_usage_often));
}

void check_prompt(const std::vector<int32_t>& tokens, const ApiModel& model) {
  BERYL_CHECK(!tokens.empty());
  for (const int32_t token : tokens) BERYL_CHECK(token >= 0 && token < model.tokenizer.vocabulary_size());
}

ApiModel make_model() {
  static const beryl::text::Tokenizer tokenizer = [] {
    std::mt19937 random(1);
    return beryl::text::Tokenizer(
        beryl::text::make_random_tables(200, [&](size_t n) { return random() % n; }));
  }();
  static const beryl::text::ChatTemplate chat_template(kTemplate, "fuzz");
  return {.name = "m", .tokenizer = tokenizer, .chat_template = chat_template, .context = 1'000};
}

void read_chat(JsonFields& fields, const ApiModel& model) {
  const beryl::server::ChatRequest request = beryl::server::read_chat_request(fields, model);
  check_settings(request.settings, model);
  const auto& top_logprobs = request.settings.sampling.top_logprobs;
  BERYL_CHECK(!top_logprobs || *top_logprobs <= model.limits.top_logprobs_max);
  BERYL_CHECK(!request.conversation.messages.empty());
  BERYL_CHECK(!request.forces_call || (!request.conversation.tools.empty() && !request.settings.format));
}

void read_completion(JsonFields& fields, const ApiModel& model) {
  const beryl::server::CompletionRequest request = beryl::server::read_completion_request(fields, model);
  check_settings(request.settings, model);
  BERYL_CHECK(!request.prompts.empty());
  for (const beryl::server::CompletionPrompt& prompt : request.prompts) {
    check_prompt(prompt.tokens, model);
    const auto engine_request = beryl::server::make_engine_request(request.settings, model, prompt.tokens);
    BERYL_CHECK(engine_request.new_tokens_min <= engine_request.new_tokens_max);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ApiModel model = make_model();
  if (size == 0) return 0;
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    const beryl::server::Json json = beryl::server::parse_body({.body = body}, model.limits);
    JsonFields fields(json);
    beryl::server::check_model(fields, model);
    data[0] == 'c' ? read_chat(fields, model) : read_completion(fields, model);
  } catch (const beryl::Error& error) {
    BERYL_CHECK(beryl::server::failure_of(error).status < 500);
  }
  return 0;
}
