// The body of POST /v1/chat/completions.
#pragma once

#include <cstdint>
#include <string>

#include "server/answer_settings.h"
#include "server/api_model.h"
#include "server/json_fields.h"
#include "text/chat_template.h"
#include "text/conversation.h"

namespace beryl::server {

// What becomes of tool calls that the model writes.
enum class ToolUse : uint8_t {
  kNone,  // they are content like anything else
  kOne,   // the first one is kept, and ends the answer
  kAll
};

struct ChatRequest {
  text::Conversation conversation;  // without tools that must not be called
  text::ChatOptions template_options;
  AnswerSettings settings;
  ToolUse tool_use = ToolUse::kAll;
  bool forces_call = false;    // the answer is a call
  std::string only_tool = {};  // then, if not empty: of this tool
  bool shows_reasoning = true;
};

// Errors: kInvalidInput and kUnsupported, naming the field: "messages[2].content: ...".
ChatRequest read_chat_request(JsonFields& fields, const ApiModel& model);

// The part of it that decides about the prompt, as /tokenize and /apply-template take it, too.
void read_conversation(JsonFields& fields, ChatRequest& request);

}  // namespace beryl::server
