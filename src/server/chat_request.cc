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

// {"type": "function", "function": {"name": "..."}}
void read_named_tool(const Json& choice, const std::string& path, ChatRequest& request) {
  JsonFields fields(choice, path);
  const std::string type = fields.find_text("type").value_or("");
  if (type != "function") {
    fail_field(fields.path_of("type"), fmt::format("expected function, found {}", quote(type)));
  }
  const Json* const function = fields.find("function");
  if (function == nullptr) fail_field(fields.path_of("function"), "is missing");
  JsonFields inner(*function, fields.path_of("function"));
  request.only_tool = inner.find_text("name").value_or("");
  if (request.only_tool.empty()) fail_field(inner.path_of("name"), "is missing");
  request.forces_call = true;
  request.tool_use = ToolUse::kOne;
}

void read_tool_choice(JsonFields& fields, ChatRequest& request) {
  const bool is_parallel = fields.find_boolean("parallel_tool_calls").value_or(true);
  request.tool_use = is_parallel ? ToolUse::kAll : ToolUse::kOne;
  const Json* const choice = fields.find("tool_choice");
  if (choice == nullptr) return;
  const std::string path = fields.path_of("tool_choice");
  if (choice->is_object()) return read_named_tool(*choice, path, request);
  if (!choice->is_string()) {
    fail_field(path, fmt::format("expected a string or an object, found {}", json_kind(choice->type())));
  }
  const auto& name = choice->get_ref<const std::string&>();
  if (name == "none") {
    request.tool_use = ToolUse::kNone;
  } else if (name == "required") {
    request.forces_call = true;
  } else if (name != "auto") {
    fail_field(path, fmt::format("expected none, auto, required or an object, found {}", quote(name)));
  }
}

void check_forced_call(const ChatRequest& request) {
  const auto& tools = request.conversation.tools;
  if (tools.empty()) fail_field("tool_choice", "asks for a call of a tool, but there are no tools");
  const auto is_named = [&](const Json& tool) { return tool.at("function").at("name") == request.only_tool; };
  if (!request.only_tool.empty() && std::ranges::none_of(tools, is_named)) {
    fail_field("tool_choice.function.name",
               fmt::format("there is no tool {} in tools", quote(request.only_tool)));
  }
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
  read_tool_choice(fields, request);
  const Json* const tools = fields.find("tools");
  request.conversation = text::parse_conversation(*messages, tools == nullptr ? Json(nullptr) : *tools);
  // A model that does not know of tools calls none.
  if (request.tool_use == ToolUse::kNone) request.conversation.tools.clear();
  if (request.forces_call) check_forced_call(request);
  read_template_options(fields, request.template_options);
}

ChatRequest read_chat_request(JsonFields& fields, const ApiModel& model) {
  ChatRequest request;
  request.settings = read_answer_settings(fields, model);
  read_conversation(fields, request);
  if (request.forces_call) {
    if (request.settings.format) {
      fail_field("tool_choice",
                 fmt::format("a call cannot be forced together with {}: an answer follows one constraint",
                             request.settings.format->field));
    }
    check_ends(request.settings, "tool_choice");
  }
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
