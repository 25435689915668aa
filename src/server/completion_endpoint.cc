// POST /v1/completions.
#include <algorithm>
#include <utility>

#include "server/completion_choice.h"
#include "server/completion_request.h"
#include "server/endpoints.h"

namespace beryl::server {
namespace {

// Prompts whose log-probabilities are wanted by either of two names: for the larger count.
std::optional<int32_t> prompt_logprobs_of(const CompletionRequest& request) {
  std::optional<int32_t> count = request.settings.prompt_logprobs;
  const std::optional<int32_t> echoed = request.settings.sampling.top_logprobs;
  if (request.echoes && echoed) count = std::max(count.value_or(0), *echoed);
  return count;
}

AnswerPart make_part(const CompletionRequest& request, const CompletionPrompt& prompt, size_t index,
                     const Call& call) {
  const ApiModel& model = call.context->model;
  AnswerPart part = {.request = make_engine_request(request.settings, model, prompt.tokens),
                     .prompt = std::make_shared<PromptRecord>(PromptRecord{.prompt = prompt})};
  part.request.prompt_logprobs = prompt_logprobs_of(request);
  part.request.cache_salt = salt_of(request.settings, call);
  const auto first = static_cast<int32_t>(index) * request.settings.samples;
  for (int32_t i = 0; i < request.settings.samples; ++i) {
    part.choices.push_back(std::make_unique<CompletionChoice>(request, model, part.prompt, first + i));
  }
  return part;
}

}  // namespace

void answer_completion(const Call& call) {
  const ApiModel& model = call.context->model;
  const Json body = parse_body(call.request, model.limits);
  JsonFields fields(body);
  check_model(fields, model);
  const auto request = std::make_shared<const CompletionRequest>(read_completion_request(fields, model));
  note_unread(fields, *call.context);

  engine::ConstraintFactory make_constraint;
  if (const auto& format = request->settings.format) {
    make_constraint = call.context->grammars.constrain(*format, engine::GrammarStart::kAtOnce);
  }
  std::vector<AnswerPart> parts;
  for (const CompletionPrompt& prompt : request->prompts) {
    const auto length = static_cast<int64_t>(prompt.tokens.size());
    if (const auto failure = check_context(request->settings, model, length)) {
      return call.responder->send(failure_response(*failure));
    }
    parts.push_back(make_part(*request, prompt, parts.size(), call));
    parts.back().request.make_constraint = make_constraint;
  }
  AnswerHead head = make_head(call, "cmpl-");
  head.object = "text_completion";
  head.chunk_object = head.object;
  if (request->lacks_bos) {
    constexpr const char* kWarning = "a prompt does not begin with <bos>; Gemma continues badly without it";
    head.headers.emplace_back("x-beryl-warning", kWarning);
    if (call.context->noted_warnings.is_new("bos")) call.context->warn(kWarning);
  }
  std::make_shared<Answer>(std::move(head), request->settings, call.context, call.responder, request,
                           call.arrived_at)
      ->start(std::move(parts));
}

}  // namespace beryl::server
