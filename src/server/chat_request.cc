#include "server/chat_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "base/quote.h"

namespace beryl::server {
namespace {

// Whether the request wants thinking by the name that other models give it.
std::optional<bool> read_effort(JsonFields& fields) {
  const std::optional<std::string> effort = fields.find_text("reasoning_effort");
  if (!effort) return std::nullopt;
  constexpr std::array<std::string_view, 7> kEfforts = {"none", "minimal", "low", "medium",
                                                        "high", "xhigh",   "max"};
  if (std::ranges::find(kEfforts, *effort) == kEfforts.end()) {
    fail_field(
        fields.path_of("reasoning_effort"),
        fmt::format("expected none, minimal, low, medium, high, xhigh or max, found {}", quote(*effort)));
  }
  return *effort != "none";
}

void read_template_options(JsonFields& fields, text::ChatOptions& options) {
  if (const auto thinks = read_effort(fields)) options.enables_thinking = *thinks;
  if (const Json* const variables = fields.find("chat_template_kwargs")) {
    text::read_template_variables(*variables, options);
  }
  options.adds_generation_prompt = fields.find_boolean("add_generation_prompt").value_or(true);
  fields.refuse("chat_template", "a request cannot bring a template of its own");
  if (fields.find_boolean("continue_final_message").value_or(false)) {
    fields.refuse("continue_final_message", "not supported; /apply-template and /v1/completions may do");
  }
  if (const Json* const documents = fields.find("documents"); documents != nullptr && !documents->empty()) {
    fields.refuse("documents", "not supported; put them into a message");
  }
  fields.ignore({"add_special_tokens"});  // the template brings them
  const std::time_t now = std::time(nullptr);
  ::localtime_r(&now, &options.now);
}

ToolUse read_tool_choice(JsonFields& fields) {
  const bool is_parallel = fields.find_boolean("parallel_tool_calls").value_or(true);
  const ToolUse free_choice = is_parallel ? ToolUse::kAll : ToolUse::kOne;
  const Json* const choice = fields.find("tool_choice");
  if (choice == nullptr) return free_choice;
  const std::string path = fields.path_of("tool_choice");
  if (choice->is_string()) {
    const auto& name = choice->get_ref<const std::string&>();
    if (name == "auto") return free_choice;
    if (name == "none") return ToolUse::kNone;
    if (name != "required") {
      fail_field(path, fmt::format("expected none, auto, required or an object, found {}", quote(name)));
    }
  } else if (!choice->is_object()) {
    fail_field(path, fmt::format("expected a string or an object, found {}", json_kind(choice->type())));
  }
  throw Error(ErrorCode::kUnsupported,
              path + ": calls of tools cannot be forced yet, only \"none\" and \"auto\" are supported");
}

void read_logprobs(JsonFields& fields, const ApiModel& model, AnswerSettings& settings) {
  const bool wants_logprobs = fields.find_boolean("logprobs").value_or(false);
  const int64_t count = fields.find_integer("top_logprobs", 0, model.limits.top_logprobs_max).value_or(0);
  if (count > 0 && !wants_logprobs) fail_field("top_logprobs", "is allowed only when logprobs is true");
  if (wants_logprobs) settings.sampling.top_logprobs = static_cast<int32_t>(count);
}

}  // namespace

void read_conversation(JsonFields& fields, ChatRequest& request) {
  const Json* const messages = fields.find("messages");
  if (messages == nullptr) fail_field("messages", "is missing");
  request.tool_use = read_tool_choice(fields);
  const Json* const tools = fields.find("tools");
  request.conversation = text::parse_conversation(*messages, tools == nullptr ? Json(nullptr) : *tools);
  // A model that does not know of tools calls none.
  if (request.tool_use == ToolUse::kNone) request.conversation.tools.clear();
  read_template_options(fields, request.template_options);
}

ChatRequest read_chat_request(JsonFields& fields, const ApiModel& model) {
  ChatRequest request;
  request.settings = read_answer_settings(fields, model);
  read_conversation(fields, request);
  read_logprobs(fields, model, request.settings);
  constexpr int64_t kTokensMax = int64_t{1} << 30;
  if (const auto tokens = fields.find_integer("max_completion_tokens", 0, kTokensMax)) {
    request.settings.new_tokens_max = tokens;
    if (request.settings.new_tokens_min > *tokens)
      fail_field("min_tokens", "is more than max_completion_tokens");
  }
  request.shows_reasoning = fields.find_boolean("include_reasoning").value_or(true);
  fields.refuse("thinking_token_budget", "not supported");
  fields.refuse("functions", "superseded by tools");
  fields.ignore({"function_call", "modalities", "verbosity", "prediction", "web_search_options"});
  return request;
}

}  // namespace beryl::server
