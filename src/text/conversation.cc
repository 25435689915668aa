#include "text/conversation.h"

#include <algorithm>
#include <utility>

namespace beryl::text {
namespace {

using Json = nlohmann::ordered_json;

Json content_json(const Content& content) {
  if (const auto* const text = std::get_if<std::string>(&content)) return *text;
  const auto* const parts = std::get_if<std::vector<std::string>>(&content);
  if (parts == nullptr) return nullptr;
  Json list = Json::array();
  for (const std::string& part : *parts) list.push_back({{"type", "text"}, {"text", part}});
  return list;
}

Json calls_json(const std::vector<ToolCall>& calls) {
  Json list = Json::array();
  for (const ToolCall& call : calls) {
    Json entry = {{"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
    if (!call.id.empty()) entry["id"] = call.id;
    list.push_back(std::move(entry));
  }
  return list;
}

Json message_json(const Message& message) {
  Json json = {{"role", role_name(message.role)}, {"content", content_json(message.content)}};
  if (!message.reasoning.empty()) {
    // Templates ask for either name.
    json["reasoning"] = message.reasoning;
    json["reasoning_content"] = message.reasoning;
  }
  if (!message.tool_calls.empty()) json["tool_calls"] = calls_json(message.tool_calls);
  if (!message.tool_call_id.empty()) json["tool_call_id"] = message.tool_call_id;
  if (!message.name.empty()) json["name"] = message.name;
  return json;
}

// The name of the function whose result `message` is: by the call's id, else its own name, else unknown.
std::string result_name(const Message& message, const std::vector<ToolCall>& calls) {
  const auto call = std::find_if(calls.begin(), calls.end(), [&](const ToolCall& candidate) {
    return !message.tool_call_id.empty() && candidate.id == message.tool_call_id;
  });
  if (call != calls.end()) return call->name;
  return message.name.empty() ? "unknown" : message.name;
}

// Text parts of a result are one text.
Json result_content(const Content& content) {
  const auto* const parts = std::get_if<std::vector<std::string>>(&content);
  if (parts == nullptr) return content_json(content);
  std::string joined;
  for (const std::string& part : *parts) joined += part;
  return joined;
}

}  // namespace

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kDeveloper:
      return "developer";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
    case Role::kTool:
      return "tool";
  }
  return "";
}

nlohmann::ordered_json template_messages(const Conversation& conversation, ToolResults form) {
  Json list = Json::array();
  const Message* caller = nullptr;  // the message whose calls are being answered
  for (const Message& message : conversation.messages) {
    if (message.role != Role::kTool) caller = &message;
    if (form == ToolResults::kMessages || message.role != Role::kTool || caller == nullptr) {
      list.push_back(message_json(message));
      continue;
    }
    Json& responses = list.back()["tool_responses"];
    responses.push_back(
        {{"name", result_name(message, caller->tool_calls)}, {"response", result_content(message.content)}});
  }
  return list;
}

nlohmann::ordered_json template_tools(const Conversation& conversation) {
  return conversation.tools.empty() ? Json(nullptr) : Json(conversation.tools);
}

}  // namespace beryl::text
