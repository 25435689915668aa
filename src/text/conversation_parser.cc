// parse_conversation(): from request JSON to a Conversation.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/quote.h"
#include "text/conversation.h"

namespace beryl::text {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void fail(std::string_view field, std::string_view message, std::string help = {}) {
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", field, message), std::move(help));
}

// Null when there is no such field, or its value is null.
const Json* find_field(const Json& object, const char* name) {
  const auto field = object.find(name);
  return field == object.end() || field->is_null() ? nullptr : &*field;
}

const Json* find_list(const Json& object, const char* name, const std::string& place, size_t size_max) {
  const Json* const list = find_field(object, name);
  if (list == nullptr) return nullptr;
  const std::string field = fmt::format("{}.{}", place, name);
  if (!list->is_array()) fail(field, fmt::format("expected a list, found {}", json_kind(list->type())));
  if (list->size() > size_max)
    fail(field, fmt::format("{} entries, at most {} are allowed", list->size(), size_max));
  return list;
}

void expect_object(const Json& json, const std::string& field) {
  if (!json.is_object()) fail(field, fmt::format("expected an object, found {}", json_kind(json.type())));
}

// Empty when there is no such field.
std::string read_text(const Json& object, const char* name, const std::string& place) {
  const Json* const text = find_field(object, name);
  if (text == nullptr) return {};
  if (!text->is_string()) {
    fail(fmt::format("{}.{}", place, name),
         fmt::format("expected a string, found {}", json_kind(text->type())));
  }
  return text->get<std::string>();
}

std::string read_required_text(const Json& object, const char* name, const std::string& place) {
  std::string text = read_text(object, name, place);
  if (text.empty()) fail(fmt::format("{}.{}", place, name), "expected a string that is not empty");
  return text;
}

Role read_role(const Json& message, const std::string& place) {
  const std::string name = read_required_text(message, "role", place);
  for (const Role role : {Role::kSystem, Role::kDeveloper, Role::kUser, Role::kAssistant, Role::kTool}) {
    if (name == role_name(role)) return role;
  }
  fail(place + ".role",
       fmt::format("expected system, developer, user, assistant or tool, found {}", quote(name)));
}

std::string read_part(const Json& part, const std::string& place) {
  expect_object(part, place);
  const std::string type = read_required_text(part, "type", place);
  if (type == "refusal") return read_text(part, "refusal", place);
  if (type != "text") {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: a part of type {}; only text can be read", place, quote(type)));
  }
  const auto text = part.find("text");
  if (text == part.end() || !text->is_string()) fail(place + ".text", "expected a string");
  return text->get<std::string>();
}

Content read_content(const Json& message, Role role, const std::string& place) {
  const std::string field = place + ".content";
  const Json* const content = find_field(message, "content");
  if (content == nullptr) {
    if (role == Role::kAssistant || role == Role::kTool) return std::monostate();
    fail(field, fmt::format("a {} message needs content", role_name(role)));
  }
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) {
    fail(field, fmt::format("expected a string or a list of parts, found {}", json_kind(content->type())),
         role == Role::kTool ? "send the result of a tool as text, for example as its JSON" : "");
  }
  find_list(message, "content", place, kPartsMax);
  std::vector<std::string> parts;
  for (size_t i = 0; i < content->size(); ++i) {
    parts.push_back(read_part((*content)[i], fmt::format("{}[{}]", field, i)));
  }
  return parts;
}

// The arguments of a call in the history, whatever state they are in.
Json read_arguments(const Json& function) {
  const Json* const arguments = find_field(function, "arguments");
  if (arguments == nullptr) return Json::object();
  if (arguments->is_object()) return *arguments;
  if (!arguments->is_string()) return {{"arguments", *arguments}};
  const auto& text = arguments->get_ref<const std::string&>();
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return Json::object();
  try {
    Json parsed = parse_ordered_json(text, "arguments");
    if (parsed.is_object()) return parsed;
    if (parsed.is_null()) return Json::object();
  } catch (const Error&) {
    // Not JSON: passed on as text below.
  }
  return {{"arguments", text}};
}

ToolCall read_tool_call(const Json& call, const std::string& place) {
  expect_object(call, place);
  const std::string type = read_text(call, "type", place);
  if (!type.empty() && type != "function") {
    fail(place + ".type", fmt::format("expected \"function\", found {}", quote(type)));
  }
  const Json* const function = find_field(call, "function");
  if (function == nullptr) fail(place + ".function", "is missing");
  expect_object(*function, place + ".function");
  return {read_text(call, "id", place), read_required_text(*function, "name", place + ".function"),
          read_arguments(*function)};
}

Message read_message(const Json& json, const std::string& place) {
  expect_object(json, place);
  Message message;
  message.role = read_role(json, place);
  message.content = read_content(json, message.role, place);
  if (message.role == Role::kAssistant) {
    message.reasoning = read_text(json, "reasoning", place);
    if (message.reasoning.empty()) message.reasoning = read_text(json, "reasoning_content", place);
    if (const Json* const calls = find_list(json, "tool_calls", place, kToolCallsMax)) {
      for (size_t i = 0; i < calls->size(); ++i) {
        message.tool_calls.push_back(read_tool_call((*calls)[i], fmt::format("{}.tool_calls[{}]", place, i)));
      }
    }
  }
  if (message.role == Role::kTool) {
    message.tool_call_id = read_text(json, "tool_call_id", place);
    message.name = read_text(json, "name", place);
  }
  return message;
}

// Templates leave out a result without a call, so the model would never see it.
void check_tool_result(Message& result, const Message* caller, size_t result_index,
                       const std::string& place) {
  if (caller == nullptr || caller->tool_calls.empty()) {
    fail(place, "a tool message must follow an assistant message with tool_calls, or another tool message");
  }
  const auto& calls = caller->tool_calls;
  if (result.tool_call_id.empty()) {
    // Results without an id are taken in the order of the calls.
    if (result.name.empty() && result_index < calls.size()) result.name = calls[result_index].name;
    return;
  }
  const bool is_known = std::any_of(calls.begin(), calls.end(),
                                    [&](const ToolCall& call) { return call.id == result.tool_call_id; });
  if (!is_known) {
    fail(place + ".tool_call_id", fmt::format("{} is not the id of a call in the assistant message before",
                                              quote(result.tool_call_id)));
  }
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.';
}

// Whether objects and lists are nested deeper than `depth_max`.
bool is_deeper_than(const Json& json, int depth_max) {
  std::vector<std::pair<const Json*, int>> waiting = {{&json, 1}};
  while (!waiting.empty()) {
    const auto [value, depth] = waiting.back();
    waiting.pop_back();
    if (!value->is_structured()) continue;
    if (depth > depth_max) return true;
    for (const Json& item : *value) waiting.emplace_back(&item, depth + 1);
  }
  return false;
}

// A declaration without fields that are null: a template would print those as words.
Json read_tool(const Json& tool, const std::string& place) {
  expect_object(tool, place);
  const std::string type = read_text(tool, "type", place);
  if (!type.empty() && type != "function") {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}.type: expected \"function\", found {}", place, quote(type)));
  }
  const Json* const function = find_field(tool, "function");
  const std::string field = place + ".function";
  if (function == nullptr) fail(field, "is missing");
  expect_object(*function, field);
  if (is_deeper_than(*function, kToolDepthMax))
    fail(field, fmt::format("nested deeper than {}", kToolDepthMax));
  if (const size_t bytes = function->dump().size(); bytes > kToolBytesMax) {
    fail(field, fmt::format("a declaration of {} bytes, at most {} are allowed", bytes, kToolBytesMax));
  }
  const std::string name = read_required_text(*function, "name", field);
  if (!std::all_of(name.begin(), name.end(), is_name_character)) {
    fail(field + ".name", fmt::format("{} has characters other than letters, digits and _-.", quote(name)));
  }
  read_text(*function, "description", field);
  if (const Json* const parameters = find_field(*function, "parameters")) {
    expect_object(*parameters, field + ".parameters");
  }
  Json declaration = Json::object();
  for (const auto& [key, value] : function->items()) {
    if (!value.is_null()) declaration[key] = value;
  }
  return {{"type", "function"}, {"function", std::move(declaration)}};
}

}  // namespace

Conversation parse_conversation(const Json& messages, const Json& tools) {
  if (!messages.is_array())
    fail("messages", fmt::format("expected a list, found {}", json_kind(messages.type())));
  if (messages.empty()) fail("messages", "expected at least one message");
  if (messages.size() > kMessagesMax) {
    fail("messages", fmt::format("{} messages, at most {} are allowed", messages.size(), kMessagesMax));
  }
  Conversation conversation;
  conversation.messages.reserve(messages.size());
  size_t caller_index = messages.size();  // of the last message that is no tool result
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string place = fmt::format("messages[{}]", i);
    Message message = read_message(messages[i], place);
    if (message.role == Role::kTool) {
      const Message* const caller = caller_index < i ? &conversation.messages[caller_index] : nullptr;
      check_tool_result(message, caller, i - caller_index - 1, place);
    } else {
      caller_index = i;
    }
    conversation.messages.push_back(std::move(message));
  }
  conversation.tools = parse_tools(tools);
  return conversation;
}

std::vector<Json> parse_tools(const Json& tools) {
  if (tools.is_null()) return {};
  if (!tools.is_array()) fail("tools", fmt::format("expected a list, found {}", json_kind(tools.type())));
  if (tools.size() > kToolsMax) {
    fail("tools", fmt::format("{} tools, at most {} are allowed", tools.size(), kToolsMax));
  }
  std::vector<Json> declarations;
  for (size_t i = 0; i < tools.size(); ++i) {
    declarations.push_back(read_tool(tools[i], fmt::format("tools[{}]", i)));
  }
  return declarations;
}

}  // namespace beryl::text
