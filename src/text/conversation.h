// A conversation as requests bring it, and as chat templates read it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace beryl::text {

// What one request may hold.
inline constexpr size_t kMessagesMax = 4096;
inline constexpr size_t kPartsMax = 64;  // of one message
inline constexpr size_t kToolsMax = 128;
inline constexpr size_t kToolCallsMax = 128;  // of one message
inline constexpr size_t kToolBytesMax = size_t{64} * 1024;
inline constexpr int kToolDepthMax = 32;  // objects and lists of a declaration within each other

enum class Role : uint8_t { kSystem, kDeveloper, kUser, kAssistant, kTool };

// "system", "developer", ...
std::string_view role_name(Role role);

struct ToolCall {
  std::string id;
  std::string name;
  nlohmann::ordered_json arguments = nlohmann::ordered_json::object();  // always an object
};

// Nothing, one text, or text parts, which templates treat one by one.
using Content = std::variant<std::monostate, std::string, std::vector<std::string>>;

struct Message {
  Role role = Role::kUser;
  Content content;
  std::string reasoning;             // of the assistant
  std::vector<ToolCall> tool_calls;  // of the assistant
  std::string tool_call_id;          // of a tool: the call that it answers; may be empty
  std::string name;                  // of a tool; may be empty
};

struct Conversation {
  std::vector<Message> messages;
  // Declarations {"type": "function", "function": {"name", "description", "parameters"}}.
  std::vector<nlohmann::ordered_json> tools;
};

// From the `messages` and `tools` of an OpenAI-style request (`tools` may be null). Fields that mean nothing
// to a template are ignored. Arguments of calls that come as text are read as JSON; text that is not a JSON
// object becomes {"arguments": TEXT}, so that a call that a model once got wrong does not spoil its history.
// Errors: kInvalidInput naming the field, as "messages[3].content"; kUnsupported for parts that are not text.
Conversation parse_conversation(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools);

// The tools of a request alone; null gives none. Errors: as above.
std::vector<nlohmann::ordered_json> parse_tools(const nlohmann::ordered_json& tools);

// Which form of tool results a template reads.
enum class ToolResults : uint8_t {
  kMessages,        // messages of role "tool"
  kWithinAssistant  // `tool_responses` of the assistant message that made the calls
};

// The variables `messages` and `tools` of a template. Without tools the second is null.
nlohmann::ordered_json template_messages(const Conversation& conversation, ToolResults form);
nlohmann::ordered_json template_tools(const Conversation& conversation);

}  // namespace beryl::text
