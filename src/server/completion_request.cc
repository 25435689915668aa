#include "server/completion_request.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace beryl::server {
namespace {

constexpr int64_t kNewTokensDefault = 16;  // OpenAI's
constexpr size_t kPromptsMax = 256;        // as many as a queue holds
constexpr const char* kBos = "<bos>";

bool begins_with_bos(const std::vector<int32_t>& tokens, const text::Tokenizer& tokenizer) {
  const std::optional<int32_t> bos = tokenizer.find_special(kBos);
  return !bos || (!tokens.empty() && tokens.front() == *bos);
}

// What encoding the rest of a request's prompts depends on.
struct PromptReader {
  const ApiModel& model;
  bool adds_bos = true;
  bool echoes = false;
  std::optional<int64_t> length_max = {};  // tokens beyond are cut off at the beginning
  bool lacks_bos = false;

  CompletionPrompt read_text(const std::string& prompt, const std::string& field) {
    const bool begins_so = prompt.starts_with(kBos);
    CompletionPrompt read = {
        .tokens = with_context(field, [&] { return encode_prompt(prompt, adds_bos, model.tokenizer); })};
    read.brings_bos = adds_bos && !begins_so && model.tokenizer.find_special(kBos).has_value();
    return complete(std::move(read), field);
  }

  CompletionPrompt read_tokens(const Json& list, const std::string& field) {
    return complete({.tokens = server::read_tokens(list, field, model.tokenizer.vocabulary_size())}, field);
  }

 private:
  CompletionPrompt complete(CompletionPrompt read, const std::string& field) {
    std::vector<int32_t>& tokens = read.tokens;
    if (length_max && static_cast<int64_t>(tokens.size()) > *length_max) {
      tokens.erase(tokens.begin(), tokens.end() - *length_max);
      read.brings_bos = false;
    }
    if (tokens.empty()) fail_field(field, "the prompt is empty");
    lacks_bos = lacks_bos || !begins_with_bos(tokens, model.tokenizer);
    if (echoes) {
      const auto shown = std::span(tokens).subspan(read.brings_bos ? 1 : 0);
      read.text = model.tokenizer.decode(shown, text::SpecialOutput::kKeep);
    }
    return read;
  }
};

std::vector<CompletionPrompt> read_prompts(const Json& prompt, PromptReader& reader) {
  if (prompt.is_string()) return {reader.read_text(prompt.get<std::string>(), "prompt")};
  if (!prompt.is_array()) {
    fail_field("prompt", fmt::format("expected a string, a list of strings, a list of token ids or a list of "
                                     "such lists, found {}",
                                     json_kind(prompt.type())));
  }
  if (prompt.empty()) fail_field("prompt", "the list is empty");
  if (prompt.front().is_number()) return {reader.read_tokens(prompt, "prompt")};
  if (prompt.size() > kPromptsMax) {
    fail_field("prompt", fmt::format("{} prompts, at most {} are allowed", prompt.size(), kPromptsMax));
  }
  std::vector<CompletionPrompt> prompts;
  for (const Json& entry : prompt) {
    const std::string field = fmt::format("prompt[{}]", prompts.size());
    prompts.push_back(entry.is_string() ? reader.read_text(entry.get<std::string>(), field)
                                        : reader.read_tokens(entry, field));
  }
  return prompts;
}

}  // namespace

std::vector<int32_t> encode_prompt(const std::string& prompt, bool adds_bos,
                                   const text::Tokenizer& tokenizer) {
  std::vector<int32_t> tokens = tokenizer.encode(prompt, text::SpecialTokens::kRecognise);
  if (adds_bos && !begins_with_bos(tokens, tokenizer)) {
    tokens.insert(tokens.begin(), *tokenizer.find_special(kBos));
  }
  return tokens;
}

CompletionRequest read_completion_request(JsonFields& fields, const ApiModel& model) {
  CompletionRequest request;
  request.settings = read_answer_settings(fields, model);
  AnswerSettings& settings = request.settings;
  if (!settings.new_tokens_max) {
    settings.new_tokens_max = kNewTokensDefault;
    if (settings.new_tokens_min > kNewTokensDefault) fail_field("min_tokens", "is more than max_tokens, 16");
  }
  request.echoes = fields.find_boolean("echo").value_or(false);
  if (const auto count = fields.find_integer("logprobs", 0, model.limits.top_logprobs_max)) {
    settings.sampling.top_logprobs = static_cast<int32_t>(*count);
    if (request.echoes && !settings.prompt_logprobs)
      settings.prompt_logprobs = settings.sampling.top_logprobs;
  }
  if (!fields.find_text("suffix").value_or("").empty()) fields.refuse("suffix", "not supported");
  PromptReader reader = {.model = model,
                         .adds_bos = fields.find_boolean("add_special_tokens").value_or(true),
                         .echoes = request.echoes,
                         .length_max = fields.find_integer("truncate_prompt_tokens", 1, int64_t{1} << 30)};
  const Json* const prompt = fields.find("prompt");
  if (prompt == nullptr) fail_field("prompt", "is missing");
  request.prompts = read_prompts(*prompt, reader);
  request.lacks_bos = reader.lacks_bos;
  return request;
}

}  // namespace beryl::server
