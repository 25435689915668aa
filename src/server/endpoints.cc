#include "server/endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/error.h"
#include "base/json.h"
#include "base/quote.h"

namespace beryl::server {

Json parse_body(const HttpRequest& request, const ApiLimits& limits) {
  if (request.body.empty())
    throw Error(ErrorCode::kInvalidInput, "the request's body is empty, expected JSON");
  return parse_ordered_json(request.body, "the request's body",
                            {.depth_max = limits.json_depth_max, .values_max = limits.json_values_max});
}

void check_model(JsonFields& fields, const ApiModel& model) {
  const std::optional<std::string> name = fields.find_text("model");
  if (!name || name->empty() || model.answers_any_name || *name == model.name) return;
  if (std::ranges::find(model.aliases, *name) != model.aliases.end()) return;
  std::string names = model.name;
  for (const std::string& alias : model.aliases) names += ", " + alias;
  throw Error(ErrorCode::kNotFound,
              fmt::format("model: {} is not served here; there is: {}", quote(*name), names));
}

void note_unread(const JsonFields& fields, ApiContext& context) {
  for (const std::string& name : fields.unread()) {
    if (!context.unknown_fields.is_new(name)) continue;
    context.warn(fmt::format("requests bring the field {}, which is ignored", quote(name)));
  }
}

std::optional<RequestFailure> check_context(const AnswerSettings& settings, const ApiModel& model,
                                            int64_t prompt_tokens) {
  const int64_t new_tokens = settings.new_tokens_max.value_or(1);
  if (prompt_tokens + new_tokens <= model.context) return std::nullopt;
  return context_length_failure(prompt_tokens, new_tokens, model.context);
}

std::string salt_of(const AnswerSettings& settings, const Call& call) {
  // Lengths keep a caller from naming a salt that is another's.
  const std::string client = call.context->salts_by_client ? call.request.client : "";
  if (client.empty() && settings.cache_salt.empty()) return {};
  return fmt::format("{}:{}{}", client.size(), client, settings.cache_salt);
}

AnswerHead make_head(const Call& call, const std::string& prefix) {
  return {.id = prefix + call.request.id, .created = std::time(nullptr), .model = call.context->model.name};
}

}  // namespace beryl::server
