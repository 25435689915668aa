// What the paths of the API answer. Each function throws Error for a request that is at fault, before it has
// answered anything.
#pragma once

#include <memory>
#include <string>

#include "server/answer.h"
#include "server/api_context.h"
#include "server/http.h"
#include "server/json_fields.h"

namespace beryl::server {

// One request on its way through an endpoint.
struct Call {
  std::shared_ptr<ApiContext> context;
  HttpRequest request;
  std::shared_ptr<HttpResponder> responder;
  Answer::TimePoint arrived_at;
};

// ---- Answers of the model ----

void answer_chat(const Call& call);
void answer_completion(const Call& call);

// ---- Text and tokens: the body of a response ----

Json answer_tokenize(const ApiContext& context, const Json& body);
Json answer_detokenize(const ApiContext& context, const Json& body);
Json answer_apply_template(const ApiContext& context, const Json& body);
Json tokenizer_info(const ApiContext& context);

// ---- About the server ----

Json models_json(const ApiModel& model);
// Errors: kNotFound for a name that is not served.
Json model_json(const ApiModel& model, const std::string& name);
Json status_json(const engine::EngineStats& stats, const ApiModel& model);

// ---- What they share ----

// The body as JSON, within the limits. Errors: kInvalidInput.
Json parse_body(const HttpRequest& request, const ApiLimits& limits);
// Errors: kNotFound when the request names a model that is not served.
void check_model(JsonFields& fields, const ApiModel& model);
// Warns of fields that mean nothing here, once for each name.
void note_unread(const JsonFields& fields, ApiContext& context);
// The failure when prompt and answer cannot both fit.
std::optional<RequestFailure> check_context(const AnswerSettings& settings, const ApiModel& model,
                                            int64_t prompt_tokens);
// The salt under which the prefix cache keeps what this caller's requests compute.
std::string salt_of(const AnswerSettings& settings, const Call& call);
// Head of an answer: `prefix` begins its id.
AnswerHead make_head(const Call& call, const std::string& prefix);

}  // namespace beryl::server
