// With the tokenizer and chat template of the demo model.
#include "engine/chat_prompt.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "text/template_source.h"

namespace beryl::engine {
namespace {

namespace fs = std::filesystem;

const fs::path kDemo = fs::path(BERYL_SOURCE_DIR) / "models" / "demo";

class ChatPromptTest : public testing::Test {
 protected:
  std::string decode(const std::vector<int32_t>& tokens, int64_t length) const {
    return tokenizer.decode(std::span(tokens).first(static_cast<size_t>(length)), text::SpecialOutput::kKeep);
  }
  std::vector<int32_t> tokens_of(const text::Conversation& conversation) const {
    return make_chat_prompt(tokenizer, chat_template, conversation, options).tokens;
  }
  std::optional<int64_t> next_turn(const text::Conversation& conversation) const {
    return find_next_turn(tokens_of(conversation), tokenizer, chat_template, conversation, options);
  }

  text::Tokenizer tokenizer = text::load_tokenizer(kDemo / "tokenizer.json");
  text::ChatTemplate chat_template{text::load_template_source(kDemo).text, "chat_template.jinja"};
  text::ChatOptions options;
};

text::Conversation ask(const std::string& question) {
  text::Conversation conversation;
  conversation.messages.push_back({.role = text::Role::kUser, .content = question});
  return conversation;
}

TEST_F(ChatPromptTest, IsThePromptOfTheReference) {
  const auto golden = nlohmann::ordered_json::parse(std::ifstream(kDemo / "golden.json")).at("prompts");
  for (const auto& prompt : golden) {
    if (!prompt.contains("messages")) continue;
    const text::Conversation conversation =
        text::parse_conversation(prompt.at("messages"), prompt.value("tools", nlohmann::ordered_json()));
    options.enables_thinking = prompt.value("enable_thinking", false);
    EXPECT_EQ(tokens_of(conversation), prompt.at("prompt_ids").get<std::vector<int32_t>>());
  }
}

TEST_F(ChatPromptTest, TheNextTurnHasNoEmptyThought) {
  const text::Conversation conversation = ask("Hi");
  const auto tokens = tokens_of(conversation);
  const auto length = next_turn(conversation);
  ASSERT_TRUE(length);
  EXPECT_EQ(decode(tokens, static_cast<int64_t>(tokens.size())),
            "<bos><|turn>user\nHi<turn|>\n<|turn>model\n<|channel>thought\n<channel|>");
  EXPECT_EQ(decode(tokens, *length), "<bos><|turn>user\nHi<turn|>\n<|turn>model\n");
}

TEST_F(ChatPromptTest, TheRealNextTurnBeginsThere) {
  text::Conversation conversation = ask("Hi");
  const auto tokens = tokens_of(conversation);
  const auto length = next_turn(conversation);
  ASSERT_TRUE(length);
  conversation.messages.push_back({.role = text::Role::kAssistant, .content = "Hello!"});
  conversation.messages.push_back({.role = text::Role::kUser, .content = "And now?"});
  const auto next = tokens_of(conversation);
  ASSERT_GT(next.size(), static_cast<size_t>(*length));
  EXPECT_TRUE(std::equal(next.begin(), next.begin() + *length, tokens.begin()));
  EXPECT_NE(next[static_cast<size_t>(*length)], tokens[static_cast<size_t>(*length)]);
}

TEST_F(ChatPromptTest, WithThinkingAllOfItStays) {
  options.enables_thinking = true;
  const text::Conversation conversation = ask("Hi");
  EXPECT_EQ(next_turn(conversation), static_cast<int64_t>(tokens_of(conversation).size()));
}

TEST_F(ChatPromptTest, ATemplateThatRefusesTheNextTurnSharesNothing) {
  const text::ChatTemplate once(
      "{{ bos_token }}{% if messages | length > 1 %}{{ raise_exception('once') }}{% endif %}x", "once");
  const text::Conversation conversation = ask("Hi");
  const auto tokens = make_chat_prompt(tokenizer, once, conversation, options).tokens;
  EXPECT_EQ(find_next_turn(tokens, tokenizer, once, conversation, options), std::nullopt);
}

TEST_F(ChatPromptTest, SaysWhereTheAnswerBegins) {
  const auto start = [&] {
    text::Conversation conversation = ask("12*7?");
    conversation.messages.push_back(
        {.role = text::Role::kAssistant, .tool_calls = {{.id = "a", .name = "calculate"}}});
    conversation.messages.push_back({.role = text::Role::kTool, .content = "84", .tool_call_id = "a"});
    return make_chat_prompt(tokenizer, chat_template, conversation, options).output_start;
  };
  EXPECT_EQ(start(), text::OutputStart::kContent);
  options.enables_thinking = true;
  EXPECT_EQ(start(), text::OutputStart::kReasoning);
}

}  // namespace
}  // namespace beryl::engine
