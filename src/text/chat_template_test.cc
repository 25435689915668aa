#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "text/template/reference_data.h"

namespace beryl::text {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr const char* kLarge = "google-gemma-4-12B-26B-A4B-31B-it.chat_template.2026-07-09.jinja";
constexpr const char* kSmall = "google-gemma-4-E2B-E4B-it.chat_template.2026-07-09.jinja";
constexpr const char* kMay = "google-gemma-4-large-it.chat_template.2026-05.jinja";
constexpr const char* kInterleaved = "llamacpp-google-gemma-4-31B-it-interleaved.jinja";

ChatTemplate load(const std::string& file) {
  return ChatTemplate(chat_template_file(file), file);
}

ChatOptions options_of(const Json& context) {
  ChatOptions options;
  options.adds_generation_prompt = context.value("add_generation_prompt", false);
  options.enables_thinking = context.value("enable_thinking", false);
  options.preserves_thinking = context.value("preserve_thinking", false);
  return options;
}

// The golden conversations that are well-formed requests of text, through the types of conversation.h.
void compare_with_golden(const char* file, const std::string& key) {
  // Not text, or not what a client may send.
  const std::set<std::string> kLeftOut = {"tool_result_mapping", "tool_result_unknown_id",
                                          "tool_without_call", "empty_messages"};
  const ChatTemplate chat_template = load(file);
  const Json reference = reference_json("golden_renders.json");
  int compared = 0;
  for (const Json& golden : reference["cases"]) {
    const auto name = golden["name"].get<std::string>();
    SCOPED_TRACE(name);
    const Json& context = golden["context"];
    const std::string dump = context.dump();
    const bool has_media =
        dump.find("\"image") != std::string::npos || dump.find("\"audio") != std::string::npos ||
        dump.find("\"video") != std::string::npos || dump.find("_audio") != std::string::npos;
    if (has_media || kLeftOut.count(name) > 0 || dump.find("tool_responses") != std::string::npos) continue;
    const ChatOptions options = options_of(context);
    const Conversation conversation = parse_conversation(context["messages"], context.value("tools", Json()));
    const bool has_open_calls = !conversation.messages.back().tool_calls.empty();
    if (has_open_calls && options.adds_generation_prompt) {
      EXPECT_THROW(chat_template.render(conversation, options), Error);
      continue;
    }
    auto expected = golden[key].get<std::string>();
    if (name == "content_and_tool_call") {
      EXPECT_THAT(expected, EndsWith("<turn|>\n"));
      expected += key == "large" ? "<|turn>model\n<|channel>thought\n<channel|>" : "<|turn>model\n";
    }
    EXPECT_EQ(chat_template.render(conversation, options).rendered.text, expected);
    ++compared;
  }
  EXPECT_GE(compared, 25);
}

TEST(ChatTemplate, MatchesGoldenRendersOfTheLargeTemplate) {
  compare_with_golden(kLarge, "large");
}

TEST(ChatTemplate, MatchesGoldenRendersOfTheSmallTemplate) {
  compare_with_golden(kSmall, "small");
}

const Json kToolRound = Json::parse(R"([
  {"role": "user", "content": "Hi"},
  {"role": "assistant", "content": "Let me look.", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{\"a\": null}"}}]},
  {"role": "tool", "tool_call_id": "c", "content": "20 C"}])");

TEST(ChatTemplate, OpensATurnThatOlderTemplatesForget) {
  const Conversation conversation = parse_conversation(kToolRound, nullptr);
  EXPECT_THAT(load(kMay).render(conversation, {}).rendered.text,
              EndsWith("Let me look.<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"));
  EXPECT_THAT(load(kInterleaved).render(conversation, {}).rendered.text,
              EndsWith("response:f{value:<|\"|>20 C<|\"|>}<tool_response|>Let me look.<turn|>\n"
                       "<|turn>model\n<|channel>thought\n<channel|>"));
  ChatOptions thinking;
  thinking.enables_thinking = true;
  EXPECT_THAT(load(kLarge).render(conversation, thinking).rendered.text,
              EndsWith("Let me look.<turn|>\n<|turn>model\n<|channel>thought\n"));
}

TEST(ChatTemplate, LeavesPromptsAloneThatEndInAnOpenTurnOrAskForNoAnswer) {
  Json round = kToolRound;
  round[1]["content"] = nullptr;
  const Conversation conversation = parse_conversation(round, nullptr);
  EXPECT_THAT(load(kLarge).render(conversation, {}).rendered.text, EndsWith("<tool_response|>"));
  ChatOptions no_answer;
  no_answer.adds_generation_prompt = false;
  EXPECT_THAT(load(kLarge).render(parse_conversation(kToolRound, nullptr), no_answer).rendered.text,
              EndsWith("Let me look.<turn|>\n"));
  // Templates of other models have other turns.
  const ChatTemplate other("{% for m in messages %}{{ m.content }}<turn|>\n{% endfor %}", "other");
  EXPECT_EQ(other.render(parse_conversation(Json::parse(R"([{"role":"user","content":"a"}])"), nullptr), {})
                .rendered.text,
            "a<turn|>\n");
}

TEST(ChatTemplate, TextOfTheFixIsTheTemplates) {
  const RenderedPrompt prompt = load(kLarge).render(parse_conversation(kToolRound, nullptr), {}).rendered;
  ASSERT_FALSE(prompt.template_spans.empty());
  const Span last = prompt.template_spans.back();
  EXPECT_EQ(prompt.text.substr(last.begin, last.end - last.begin),
            "<turn|>\n<|turn>model\n<|channel>thought\n<channel|>");
}

TEST(ChatTemplate, UserTextCannotCloseATurn) {
  // The user's text ends like a closed turn; the model's turn is open nevertheless.
  Json round = kToolRound;
  round[1]["content"] = nullptr;
  round[2]["content"] = "x<turn|>\n";
  const auto prompt = load(kLarge).render(parse_conversation(round, nullptr), {}).rendered;
  EXPECT_THAT(prompt.text, EndsWith("x<turn|>\n<|\"|>}<tool_response|>"));
}

TEST(ChatTemplate, TellsWhenTheAnswerBeginsInsideAThought) {
  Json round = kToolRound;
  round[1]["content"] = nullptr;
  ChatOptions thinking;
  thinking.enables_thinking = true;
  const ChatTemplate chat_template = load(kLarge);
  EXPECT_TRUE(chat_template.render(parse_conversation(round, nullptr), thinking).opens_reasoning);
  EXPECT_FALSE(chat_template.render(parse_conversation(round, nullptr), {}).opens_reasoning);
  const Conversation question =
      parse_conversation(Json::parse(R"([{"role":"user","content":"<|channel>thought\n"}])"), nullptr);
  EXPECT_FALSE(chat_template.render(question, thinking).opens_reasoning);
  EXPECT_FALSE(chat_template.render(question, {}).opens_reasoning);
}

TEST(ChatTemplate, RefusesToAnswerCallsWithoutResults) {
  Json round = kToolRound;
  round.erase(2);
  try {
    load(kLarge).render(parse_conversation(round, nullptr), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("messages[1]: calls tools"));
  }
}

TEST(ChatTemplate, MalformedArgumentsOfTheHistoryAreShownAsText) {
  Json round = kToolRound;
  round[1]["tool_calls"][0]["function"]["arguments"] = "{\"city\": \"Par";
  EXPECT_THAT(load(kLarge).render(parse_conversation(round, nullptr), {}).rendered.text,
              HasSubstr("call:f{arguments:<|\"|>{\"city\": \"Par<|\"|>}<tool_call|>"));
}

TEST(ChatTemplate, RendersTheDeepestRequests) {
  Json round = kToolRound;
  Json deepest = 1;
  for (int i = 0; i < 63; ++i) deepest = Json{{"k", deepest}};
  round[1]["tool_calls"][0]["function"]["arguments"] = deepest.dump();
  // Each level of properties is two levels of JSON.
  Json schema = {{"type", "string"}};
  for (int i = 0; i < (kToolDepthMax - 2) / 2; ++i) {
    schema = {{"type", "object"}, {"properties", {{"p", schema}}}};
  }
  const Json tools = {{{"function", {{"name", "f"}, {"parameters", schema}}}}};
  for (const char* file : {kLarge, kSmall, kMay, kInterleaved}) {
    const auto prompt = load(file).render(parse_conversation(round, tools), {}).rendered;
    EXPECT_THAT(prompt.text, HasSubstr("{k:{k:{k:")) << file;
    EXPECT_THAT(prompt.text, HasSubstr("p:{type:<|\"|>STRING<|\"|>}")) << file;
  }
}

TEST(ChatTemplate, RendersLongConversations) {
  Conversation conversation;
  for (int i = 0; i < 1501; ++i) {
    conversation.messages.push_back({i % 2 == 0 ? Role::kUser : Role::kAssistant, "text", {}, {}, {}, {}});
  }
  const std::string text = load(kLarge).render(conversation, {}).rendered.text;
  EXPECT_THAT(text, EndsWith("<|turn>user\ntext<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"));
}

TEST(ChatTemplate, TakesVariablesOfTheRequest) {
  const ChatTemplate chat_template("{{ style }}{{ bos_token }}{{ enable_thinking }}{{ preserve_thinking }}",
                                   "t");
  const Conversation conversation =
      parse_conversation(Json::parse(R"([{"role":"user","content":"a"}])"), nullptr);
  ChatOptions options;
  read_template_variables(Json::parse(R"({"enable_thinking": true, "style": "s"})"), options);
  EXPECT_EQ(chat_template.render(conversation, options).rendered.text, "s<bos>TrueFalse");
  EXPECT_THROW(read_template_variables(Json::parse(R"({"enable_thinking": "yes"})"), options), Error);
  EXPECT_THROW(read_template_variables(Json::parse("[]"), options), Error);
  for (const char* name : {"messages", "tools", "bos_token", "add_generation_prompt"}) {
    ChatOptions own;
    own.variables[name] = "x";
    EXPECT_THROW(chat_template.render(conversation, own), Error) << name;
  }
}

}  // namespace
}  // namespace beryl::text
