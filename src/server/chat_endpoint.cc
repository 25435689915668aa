// POST /v1/chat/completions.
#include <fmt/format.h>

#include <random>
#include <utility>

#include "engine/chat_prompt.h"
#include "server/chat_choice.h"
#include "server/chat_constraint.h"
#include "server/chat_request.h"
#include "server/endpoints.h"

namespace beryl::server {
namespace {

// Unique among all answers, so that calls of several turns do not share one.
std::string draw_call_ids() {
  std::random_device random;
  return fmt::format("call_{:08x}{:08x}", random(), random());
}

}  // namespace

void answer_chat(const Call& call) {
  const ApiModel& model = call.context->model;
  const Json body = parse_body(call.request, model.limits);
  JsonFields fields(body);
  check_model(fields, model);
  const auto request = std::make_shared<const ChatRequest>(read_chat_request(fields, model));
  note_unread(fields, *call.context);

  const engine::ChatPrompt prompt = engine::make_chat_prompt(
      model.tokenizer, model.chat_template, request->conversation, request->template_options);
  const AnswerSettings& settings = request->settings;
  if (const auto failure = check_context(settings, model, static_cast<int64_t>(prompt.tokens.size()))) {
    return call.responder->send(failure_response(*failure));
  }
  AnswerPart part = {.prompt =
                         std::make_shared<PromptRecord>(PromptRecord{.prompt = {.tokens = prompt.tokens}})};
  part.request = make_engine_request(settings, model, prompt.tokens);
  part.request.make_constraint = make_chat_constraints(*request, prompt.output_start, *call.context);
  if (const auto next_turn = engine::find_next_turn(prompt.tokens, model.tokenizer, model.chat_template,
                                                    request->conversation, request->template_options)) {
    part.request.snapshot_positions = {*next_turn};
  }
  part.request.cache_salt = salt_of(settings, call);
  const std::string call_ids = draw_call_ids();
  for (int32_t i = 0; i < settings.samples; ++i) {
    part.choices.push_back(std::make_unique<ChatChoice>(*request, model, prompt.output_start, i,
                                                        fmt::format("{}_{}", call_ids, i)));
  }
  AnswerHead head = make_head(call, "chatcmpl-");
  head.object = "chat.completion";
  head.chunk_object = "chat.completion.chunk";
  std::vector<AnswerPart> parts;
  parts.push_back(std::move(part));
  std::make_shared<Answer>(std::move(head), settings, call.context, call.responder, request, call.arrived_at)
      ->start(std::move(parts));
}

}  // namespace beryl::server
