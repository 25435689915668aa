#include "text/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace beryl::text {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

Conversation parse(const std::string& messages, const std::string& tools = "null") {
  return parse_conversation(Json::parse(messages), Json::parse(tools));
}

// The error's message, or "" when there is none.
std::string refusal(const std::string& messages, const std::string& tools = "null") {
  try {
    parse(messages, tools);
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

TEST(Conversation, ReadsEveryRole) {
  const Conversation conversation = parse(R"([
    {"role": "system", "content": "s"},
    {"role": "developer", "content": [{"type": "text", "text": "d"}, {"type": "text", "text": "e"}]},
    {"role": "user", "content": "u", "name": "ignored"},
    {"role": "assistant", "content": null, "reasoning_content": "r", "refusal": null,
     "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"z\": 1, \"a\": 2}"}}]},
    {"role": "tool", "tool_call_id": "c", "content": "t"}])");
  ASSERT_EQ(conversation.messages.size(), 5U);
  EXPECT_EQ(conversation.messages[0].role, Role::kSystem);
  EXPECT_EQ(std::get<std::vector<std::string>>(conversation.messages[1].content),
            (std::vector<std::string>{"d", "e"}));
  EXPECT_EQ(conversation.messages[2].name, "");
  const Message& call = conversation.messages[3];
  EXPECT_TRUE(std::holds_alternative<std::monostate>(call.content));
  EXPECT_EQ(call.reasoning, "r");
  EXPECT_EQ(call.tool_calls[0].arguments.dump(), R"({"z":1,"a":2})");
  EXPECT_EQ(conversation.messages[4].tool_call_id, "c");
}

std::string read_arguments_text(const std::string& arguments) {
  return parse(R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": )" +
               arguments + "}}]}]")
      .messages[0]
      .tool_calls[0]
      .arguments.dump();
}

TEST(Conversation, ReadsArgumentsInWhateverStateTheyAre) {
  EXPECT_EQ(read_arguments_text(R"("{\"a\": [1, null]}")"), R"({"a":[1,null]})");
  EXPECT_EQ(read_arguments_text(R"({"a": 1})"), R"({"a":1})");
  EXPECT_EQ(read_arguments_text("null"), "{}");
  EXPECT_EQ(read_arguments_text(R"("")"), "{}");
  EXPECT_EQ(read_arguments_text(R"(" \n")"), "{}");
  EXPECT_EQ(read_arguments_text(R"("null")"), "{}");
  EXPECT_EQ(read_arguments_text(R"("{\"a\": ")"), R"({"arguments":"{\"a\": "})");
  EXPECT_EQ(read_arguments_text(R"("[1]")"), R"({"arguments":"[1]"})");
  EXPECT_EQ(read_arguments_text("[1]"), R"({"arguments":[1]})");
  EXPECT_EQ(read_arguments_text(R"("{\"a\":1,\"a\":2}")"), R"({"arguments":"{\"a\":1,\"a\":2}"})");
  EXPECT_EQ(read_arguments_text('"' + std::string(100, '[') + '"'),
            R"({"arguments":")" + std::string(100, '[') + "\"}");
}

TEST(Conversation, NamesTheFieldThatIsWrong) {
  EXPECT_THAT(refusal("{}"), HasSubstr("messages: expected a list, found an object"));
  EXPECT_THAT(refusal("[]"), HasSubstr("messages: expected at least one"));
  EXPECT_THAT(refusal("[5]"), HasSubstr("messages[0]: expected an object, found a number"));
  EXPECT_THAT(refusal(R"([{"content": "x"}])"), HasSubstr("messages[0].role: expected a string"));
  EXPECT_THAT(refusal(R"([{"role": "model", "content": "x"}])"),
              HasSubstr("messages[0].role: expected system, "));
  EXPECT_THAT(refusal(R"([{"role": "user"}])"),
              HasSubstr("messages[0].content: a user message needs content"));
  EXPECT_THAT(refusal(R"([{"role": "user", "content": {}}])"),
              HasSubstr("messages[0].content: expected a string or"));
  EXPECT_THAT(refusal(R"([{"role": "user", "content": ["x"]}])"),
              HasSubstr("messages[0].content[0]: expected an"));
  EXPECT_THAT(refusal(R"([{"role": "user", "content": [{"type": "text"}]}])"),
              HasSubstr("messages[0].content[0].text"));
  EXPECT_THAT(refusal(R"([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])"),
              HasSubstr("messages[0].content[0]: a part of type 'image_url'; only text"));
  EXPECT_THAT(refusal(R"([{"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}])"),
              HasSubstr("messages[0].tool_calls[0].function.name"));
  EXPECT_THAT(refusal(R"([{"role": "assistant", "tool_calls": {}}])"),
              HasSubstr("messages[0].tool_calls: expected"));
  EXPECT_THAT(refusal(R"([{"role": "assistant", "content": "", "reasoning": 5}])"),
              HasSubstr("messages[0].reasoning"));
}

TEST(Conversation, RefusesResultsThatNoTemplateWouldShow) {
  const std::string call = R"({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}]})";
  EXPECT_THAT(refusal(R"([{"role": "tool", "content": "x"}])"),
              HasSubstr("messages[0]: a tool message must follow"));
  EXPECT_THAT(
      refusal("[" + call + R"(, {"role": "user", "content": "u"}, {"role": "tool", "content": "x"}])"),
      HasSubstr("messages[2]: a tool message must follow"));
  EXPECT_THAT(refusal("[" + call + R"(, {"role": "tool", "tool_call_id": "d", "content": "x"}])"),
              HasSubstr("messages[1].tool_call_id: 'd' is not"));
  EXPECT_THAT(refusal("[" + call + R"(, {"role": "tool", "tool_call_id": "c", "content": {"a": 1}}])"),
              HasSubstr("messages[1].content: expected a string or a list of parts, found an object"));
}

TEST(Conversation, TakesResultsWithoutIdInOrder) {
  const Conversation conversation = parse(R"([{"role": "assistant", "tool_calls": [
      {"function": {"name": "f"}}, {"function": {"name": "g"}}]},
    {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}, {"role": "tool", "content": "3"}])");
  EXPECT_EQ(conversation.messages[1].name, "f");
  EXPECT_EQ(conversation.messages[2].name, "g");
  EXPECT_EQ(conversation.messages[3].name, "");
}

TEST(Conversation, ChecksTools) {
  const std::string messages = R"([{"role": "user", "content": "x"}])";
  EXPECT_EQ(refusal(messages, R"([{"type": "function", "function": {"name": "get_weather-2.0"}}])"), "");
  EXPECT_THAT(refusal(messages, "{}"), HasSubstr("tools: expected a list"));
  EXPECT_THAT(refusal(messages, R"([{"type": "web_search"}])"), HasSubstr("tools[0].type"));
  EXPECT_THAT(refusal(messages, R"([{"type": "function"}])"), HasSubstr("tools[0].function: is missing"));
  EXPECT_THAT(refusal(messages, R"([{"function": {"name": "a{b"}}])"),
              HasSubstr("tools[0].function.name: 'a{b'"));
  EXPECT_THAT(refusal(messages, R"([{"function": {"name": "a", "parameters": []}}])"),
              HasSubstr("tools[0].function.parameters: expected an object"));
  EXPECT_THAT(refusal(messages, R"([{"function": {"name": "a", "description": 1}}])"),
              HasSubstr("tools[0].function.description: expected a string"));
  const Conversation conversation = parse(
      messages,
      R"([{"function": {"name": "a", "description": null, "strict": null, "parameters": {"type": "object"}}}])");
  EXPECT_EQ(conversation.tools[0].dump(),
            R"({"type":"function","function":{"name":"a","parameters":{"type":"object"}}})");
}

// `count` copies of `item` as a JSON list.
std::string repeated(const std::string& item, size_t count) {
  std::string list = "[";
  for (size_t i = 0; i < count; ++i) list += (i > 0 ? "," : "") + item;
  return list + "]";
}

TEST(Conversation, KeepsItsLimits) {
  const std::string user = R"({"role":"user","content":"x"})";
  EXPECT_EQ(refusal(repeated(user, kMessagesMax)), "");
  EXPECT_THAT(refusal(repeated(user, kMessagesMax + 1)), HasSubstr("4097 messages, at most 4096"));
  const auto with_parts = [](size_t count) {
    return R"([{"role":"user","content":)" + repeated(R"({"type":"text","text":"x"})", count) + "}]";
  };
  EXPECT_EQ(refusal(with_parts(kPartsMax)), "");
  EXPECT_THAT(refusal(with_parts(kPartsMax + 1)), HasSubstr("messages[0].content: 65 entries, at most 64"));
  const std::string tool = R"({"function":{"name":"f"}})";
  EXPECT_EQ(refusal("[" + user + "]", repeated(tool, kToolsMax)), "");
  EXPECT_THAT(refusal("[" + user + "]", repeated(tool, kToolsMax + 1)), HasSubstr("129 tools, at most 128"));
  const auto nested_tool = [](size_t depth) {
    std::string parameters = "1";
    for (size_t i = 0; i < depth; ++i) parameters = "{\"p\":" + parameters + "}";
    return R"([{"function":{"name":"f","parameters":)" + parameters + "}}]";
  };
  EXPECT_EQ(refusal("[" + user + "]", nested_tool(kToolDepthMax - 1)), "");
  EXPECT_THAT(refusal("[" + user + "]", nested_tool(kToolDepthMax)), HasSubstr("nested deeper than 32"));
  const auto long_tool = [](size_t bytes) {
    return R"([{"function":{"name":"f","description":")" + std::string(bytes, 'x') + "\"}}]";
  };
  const size_t overhead = std::string(R"({"name":"f","description":""})").size();
  EXPECT_EQ(refusal("[" + user + "]", long_tool(kToolBytesMax - overhead)), "");
  EXPECT_THAT(refusal("[" + user + "]", long_tool(kToolBytesMax - overhead + 1)), HasSubstr("at most 65536"));
}

TEST(Conversation, FoldsResultsIntoTheAssistantsMessageWhereATemplateWantsIt) {
  const Conversation conversation = parse(R"([
    {"role": "user", "content": "u"},
    {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}, {"id": "d", "function": {"name": "g"}}]},
    {"role": "tool", "tool_call_id": "d", "content": "1"},
    {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "2"}, {"type": "text", "text": "3"}]},
    {"role": "user", "content": "v"}])");
  const Json messages = template_messages(conversation, ToolResults::kWithinAssistant);
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[1]["tool_responses"].dump(),
            R"([{"name":"g","response":"1"},{"name":"f","response":"23"}])");
  EXPECT_EQ(template_messages(conversation, ToolResults::kMessages).size(), 5U);
}

}  // namespace
}  // namespace beryl::text
