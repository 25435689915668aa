// /tokenize, /detokenize, /apply-template and /tokenizer_info.
#include <utility>

#include "engine/chat_prompt.h"
#include "server/chat_request.h"
#include "server/completion_request.h"
#include "server/endpoints.h"

namespace beryl::server {
namespace {

ChatRequest read_chat(JsonFields& fields) {
  ChatRequest request;
  read_conversation(fields, request);
  return request;
}

std::vector<int32_t> tokenize(JsonFields& fields, const ApiModel& model) {
  if (fields.find("messages") != nullptr) {
    const ChatRequest request = read_chat(fields);
    return engine::make_chat_prompt(model.tokenizer, model.chat_template, request.conversation,
                                    request.template_options)
        .tokens;
  }
  std::optional<std::string> prompt = fields.find_text("prompt");
  const bool is_vllm = prompt.has_value();
  if (!prompt) prompt = fields.find_text("content");
  if (!prompt) fail_field("prompt", "is missing; expected prompt, or messages");
  // The field called content is llama.cpp's, where no <bos> is put in front unless it is asked for.
  bool adds_bos = fields.find_boolean("add_special_tokens").value_or(is_vllm);
  if (!is_vllm) adds_bos = fields.find_boolean("add_special").value_or(adds_bos);
  return encode_prompt(*prompt, adds_bos, model.tokenizer);
}

}  // namespace

Json answer_tokenize(const ApiContext& context, const Json& body) {
  const ApiModel& model = context.model;
  JsonFields fields(body);
  check_model(fields, model);
  const std::vector<int32_t> tokens = tokenize(fields, model);
  Json reply = {{"count", tokens.size()}, {"max_model_len", model.context}, {"tokens", tokens}};
  if (fields.find_boolean("return_token_strs").value_or(false)) {
    Json names = Json::array();
    for (const int32_t token : tokens) names.push_back(model.tokenizer.token_text(token));
    reply["token_strs"] = std::move(names);
  }
  return reply;
}

Json answer_detokenize(const ApiContext& context, const Json& body) {
  const ApiModel& model = context.model;
  JsonFields fields(body);
  check_model(fields, model);
  if (fields.find("tokens") == nullptr) fail_field("tokens", "is missing");
  const std::vector<int32_t> tokens = fields.find_tokens("tokens", model.tokenizer.vocabulary_size());
  const std::string text = model.tokenizer.decode(tokens, text::SpecialOutput::kKeep);
  return {{"prompt", text}, {"content", text}};
}

Json answer_apply_template(const ApiContext& context, const Json& body) {
  JsonFields fields(body);
  check_model(fields, context.model);
  const ChatRequest request = read_chat(fields);
  return {{"prompt",
           context.model.chat_template.render(request.conversation, request.template_options).rendered.text}};
}

Json tokenizer_info(const ApiContext& context) {
  const ApiModel& model = context.model;
  return {{"tokenizer_class", "GemmaTokenizer"},   {"vocab_size", model.tokenizer.vocabulary_size()},
          {"model_max_length", model.context},     {"bos_token", model.special_tokens.bos},
          {"eos_token", model.special_tokens.eos}, {"pad_token", model.special_tokens.pad},
          {"unk_token", model.special_tokens.unk}, {"chat_template", model.template_source}};
}

}  // namespace beryl::server
