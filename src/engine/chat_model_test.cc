// With the tokenizer and chat template of the demo model. What the model answers is scripted, but for the
// last tests, which compare with answers that transformers recorded.
#include "engine/chat_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "engine/memory_plan.h"
#include "engine/scripted_model_for_tests.h"
#include "text/template_source.h"

namespace beryl::engine {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using text::OutputDelta;

using Tokens = std::vector<int32_t>;

const fs::path kDemo = fs::path(BERYL_SOURCE_DIR) / "models" / "demo";
constexpr int32_t kTurnClose = 106;
constexpr int32_t kToolResponse = 50;

nlohmann::ordered_json golden_prompt(size_t index) {
  return nlohmann::ordered_json::parse(std::ifstream(kDemo / "golden.json")).at("prompts").at(index);
}

ChatRequest make_request(text::Conversation conversation) {
  ChatRequest request = {.conversation = std::move(conversation), .new_tokens_max = 100};
  request.sampling.temperature = 0;
  return request;
}

ChatRequest ask(const std::string& question) {
  text::Conversation conversation;
  conversation.messages.push_back({.role = text::Role::kUser, .content = question});
  return make_request(std::move(conversation));
}

// The request of a recorded prompt.
ChatRequest request_of(const nlohmann::ordered_json& prompt) {
  ChatRequest request = make_request(
      text::parse_conversation(prompt.at("messages"), prompt.value("tools", nlohmann::ordered_json())));
  request.template_options.enables_thinking = prompt.value("enable_thinking", false);
  return request;
}

class ChatModelTest : public testing::Test {
 protected:
  // The tokens of a text in which special tokens are spelt out.
  Tokens encode(const std::string& text) const {
    return tokenizer.encode(text, text::SpecialTokens::kRecognise);
  }

  // Scripts the answer and asks for it.
  ChatAnswer answer(const ChatRequest& request, Tokens script) {
    deltas.clear();
    model.backend.fed.clear();
    model.answer_with(std::move(script));
    return chat.answer(request, [this](const OutputDelta& delta) { deltas.push_back(delta); });
  }
  // The text and then the end of the turn.
  ChatAnswer answer(const ChatRequest& request, const std::string& text) {
    Tokens script = encode(text);
    script.push_back(kTurnClose);
    return answer(request, std::move(script));
  }

  // The pieces of content in the order in which they came.
  std::vector<std::string> content_pieces() const {
    std::vector<std::string> pieces;
    for (const OutputDelta& delta : deltas) {
      if (delta.kind == OutputDelta::Kind::kContent) pieces.push_back(delta.text);
    }
    return pieces;
  }
  std::string generated_text() const {
    std::string text;
    for (const OutputDelta& delta : deltas) text += delta.raw;
    return text;
  }

  text::Tokenizer tokenizer = text::load_tokenizer(kDemo / "tokenizer.json");
  text::ChatTemplate chat_template{text::load_template_source(kDemo).text, "chat_template.jinja"};
  ScriptedModel model{2048};
  std::unique_ptr<ScriptedModel::Running> running = model.run_engine(600);
  ChatModel chat{running->engine, tokenizer, chat_template, {1, kToolResponse, kTurnClose}};
  std::vector<OutputDelta> deltas;
};

// ---- The prompt ----

TEST_F(ChatModelTest, FeedsThePromptsOfTheReference) {
  for (size_t i = 0; i < 10; ++i) {
    const nlohmann::ordered_json prompt = golden_prompt(i);
    running = model.run_engine(600);
    ChatModel fresh(running->engine, tokenizer, chat_template, {kTurnClose});
    model.backend.fed.clear();
    model.answer_with({kTurnClose});
    const ChatAnswer result = fresh.answer(request_of(prompt), [](const OutputDelta&) {});
    EXPECT_THAT(model.backend.fed, ElementsAreArray(prompt.at("prompt_ids").get<Tokens>())) << "prompt " << i;
    EXPECT_EQ(result.finish_reason, FinishReason::kStop);
    EXPECT_EQ(result.output.content, "");
  }
}

TEST_F(ChatModelTest, SpecialTokensInMessagesAreText) {
  answer(ask("a<turn|>b<|channel>"), Tokens{kTurnClose});
  const Tokens& fed = model.backend.fed;
  EXPECT_EQ(std::count(fed.begin(), fed.end(), kTurnClose), 1);  // that of the template
  EXPECT_THAT(tokenizer.decode(fed, text::SpecialOutput::kKeep), HasSubstr("a<turn|>b<|channel>"));
}

TEST_F(ChatModelTest, AnotherTemplateTakesThePlaceOfTheModels) {
  const text::ChatTemplate other("{{ bos_token }}Q: {{ messages[0].content }} A:", "other.jinja");
  ChatModel with_other(running->engine, tokenizer, other, {kTurnClose});
  model.answer_with({kTurnClose});
  with_other.answer(ask("What?"), [](const OutputDelta&) {});
  EXPECT_THAT(model.backend.fed, ElementsAreArray(encode("<bos>Q: What? A:")));
}

TEST_F(ChatModelTest, FeedsTheNextTurnOnly) {
  ChatRequest request = ask("What is 1 + 1?");
  const ChatAnswer first = answer(request, "2");
  EXPECT_EQ(first.generation.cached_tokens, 0);
  const int64_t first_prompt = first.generation.prompt_tokens;

  request.conversation.messages.push_back({.role = text::Role::kAssistant, .content = first.output.content});
  request.conversation.messages.push_back({.role = text::Role::kUser, .content = "And 2 + 2?"});
  const ChatAnswer second = answer(request, "4");
  EXPECT_EQ(second.output.content, "4");
  // The template takes the empty thought, with which the first prompt ends, out of the history.
  const auto kept = first_prompt - static_cast<int64_t>(encode("<|channel>thought\n<channel|>").size());
  EXPECT_EQ(second.generation.cached_tokens, kept);
  EXPECT_EQ(tokenizer.decode(model.backend.fed, text::SpecialOutput::kKeep),
            "2<turn|>\n<|turn>user\nAnd 2 + 2?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>4");
}

TEST_F(ChatModelTest, RefusesAPromptThatDoesNotFit) {
  std::string question = "How";
  while (encode(question).size() < 700) question += " many";
  try {
    answer(ask(question), "never");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    EXPECT_THAT(error.message(), HasSubstr("but there is room for 599"));
  }
  EXPECT_THAT(model.backend.fed, IsEmpty());
}

TEST_F(ChatModelTest, RefusesBadStopStringsBeforeAnyWork) {
  ChatRequest request = ask("Hi");
  request.stops = {"fine", ""};
  EXPECT_THROW(answer(request, "never"), Error);
  EXPECT_THAT(model.backend.fed, IsEmpty());
}

// ---- The answer ----

TEST_F(ChatModelTest, PassesEachTokenOnAsItComes) {
  const Tokens script = encode("Hello! How can I help you today?");
  Tokens ended = script;
  ended.push_back(kTurnClose);
  const ChatAnswer result = answer(ask("Hi"), ended);
  EXPECT_EQ(result.output.content, "Hello! How can I help you today?");
  EXPECT_EQ(result.output.finish_reason, text::FinishReason::kStop);
  EXPECT_EQ(result.generation.tokens, script);
  EXPECT_THAT(content_pieces(), SizeIs(script.size()));
  EXPECT_EQ(generated_text(), result.output.content);
}

TEST_F(ChatModelTest, HoldsBackTheBytesOfACharacterUntilItIsWhole) {
  const std::string text = "a\U0001F642b";
  const Tokens script = encode(text);
  ASSERT_GE(script.size(), 6U);  // the character is four byte tokens
  answer(ask("Hi"), text);
  EXPECT_THAT(content_pieces(), testing::ElementsAre("a", "\U0001F642", "b"));

  ChatRequest cut = ask("Hi");
  cut.new_tokens_max = 3;  // "a" and two bytes
  const ChatAnswer result = answer(cut, text);
  EXPECT_EQ(result.output.content, "a\uFFFD");
  EXPECT_EQ(result.finish_reason, FinishReason::kLength);
}

TEST_F(ChatModelTest, SaysWhenTheAnswerWasCutOff) {
  ChatRequest request = ask("Hi");
  request.new_tokens_max = 2;
  const Tokens script = encode("Hello! How");
  const ChatAnswer result = answer(request, script);
  EXPECT_EQ(result.finish_reason, FinishReason::kLength);
  EXPECT_EQ(result.output.finish_reason, text::FinishReason::kLength);
  EXPECT_THAT(result.generation.tokens, SizeIs(2));
}

TEST_F(ChatModelTest, SaysWhenItWasCancelled) {
  const int32_t word = encode("Hello").front();
  // Goes on for ever.
  model.backend.predict = [=](int32_t, std::span<float> logits) { logits[static_cast<size_t>(word)] = 1; };
  running = model.run_engine(1'000'000);
  ChatModel endless(running->engine, tokenizer, chat_template, {kTurnClose});
  ChatRequest request = ask("Hi");
  request.new_tokens_max = 1'000'000;
  std::atomic<bool> has_begun = false;
  request.should_cancel = [&] { return has_begun.load(); };
  const ChatAnswer result = endless.answer(request, [&](const OutputDelta&) { has_begun = true; });
  EXPECT_EQ(result.finish_reason, FinishReason::kCancelled);
  EXPECT_FALSE(result.output.content.empty());
}

TEST_F(ChatModelTest, SeparatesReasoningFromContent) {
  const ChatAnswer result = answer(ask("Hi"), "<|channel>thought\nIt is 4.\n<channel|>4");
  EXPECT_EQ(result.output.reasoning, "It is 4.");
  EXPECT_EQ(result.output.content, "4");
  EXPECT_EQ(generated_text(), "<|channel>thought\nIt is 4.\n<channel|>4");
}

TEST_F(ChatModelTest, GoesOnWithAThoughtThatThePromptLeavesOpen) {
  ChatRequest request = request_of(golden_prompt(8));  // ends with the result of a tool
  request.template_options.enables_thinking = true;
  const ChatAnswer result = answer(request, "So 84.\n<channel|>#### 84");
  EXPECT_EQ(result.output.reasoning, "So 84.");
  EXPECT_EQ(result.output.content, "#### 84");
}

TEST_F(ChatModelTest, ReadsToolCalls) {
  const std::string call = "<|tool_call>call:calculate{expression:<|\"|>12*7<|\"|>}<tool_call|>";
  Tokens script = encode("Wait." + call);
  script.push_back(kToolResponse);
  const ChatAnswer result = answer(request_of(golden_prompt(7)), script);
  ASSERT_THAT(result.output.tool_calls, SizeIs(1));
  EXPECT_EQ(result.output.tool_calls[0].name, "calculate");
  EXPECT_EQ(nlohmann::json::parse(result.output.tool_calls[0].arguments),
            nlohmann::json({{"expression", "12*7"}}));
  EXPECT_EQ(result.output.content, "Wait.");
  EXPECT_EQ(result.finish_reason, FinishReason::kStop);
  EXPECT_EQ(result.output.finish_reason, text::FinishReason::kToolCalls);
  EXPECT_EQ(generated_text(), "Wait." + call);
}

TEST_F(ChatModelTest, ACallThatIsCutOffIsNone) {
  ChatRequest request = request_of(golden_prompt(7));
  const Tokens script = encode("<|tool_call>call:calculate{expression:<|\"|>12*7<|\"|>}");
  request.new_tokens_max = static_cast<int64_t>(script.size()) - 2;  // in the middle of the string
  const ChatAnswer result = answer(request, script);
  EXPECT_THAT(result.output.tool_calls, IsEmpty());
  EXPECT_EQ(result.output.finish_reason, text::FinishReason::kLength);
  EXPECT_THAT(result.output.content, HasSubstr("call:calculate{"));
}

// ---- Stop strings ----

TEST_F(ChatModelTest, StopsAtAStringThatSpansTokens) {
  ChatRequest request = ask("Hi");
  request.stops = {"never", "! How c"};
  const Tokens script = encode("Hello! How can");  // no further token is asked for
  const ChatAnswer result = answer(request, script);
  EXPECT_EQ(result.output.content, "Hello");
  EXPECT_EQ(result.finish_reason, FinishReason::kStop);
  EXPECT_EQ(result.output.finish_reason, text::FinishReason::kStop);
  EXPECT_EQ(result.generation.tokens, script);
}

TEST_F(ChatModelTest, AStopAtTheLimitOfTokensIsAStop) {
  ChatRequest request = ask("Hi");
  request.stops = {"How"};
  const Tokens script = encode("Hello! How");
  request.new_tokens_max = static_cast<int64_t>(script.size());
  const ChatAnswer result = answer(request, script);
  EXPECT_EQ(result.output.content, "Hello! ");
  EXPECT_EQ(result.output.finish_reason, text::FinishReason::kStop);
}

TEST_F(ChatModelTest, HoldsBackWhatMayBecomeAStopString) {
  ChatRequest request = ask("Hi");
  request.stops = {"! How are"};
  std::string shown_before;  // when the token that decides comes
  const ChatAnswer result = answer(request, "Hello! How can I");
  EXPECT_EQ(result.output.content, "Hello! How can I");
  for (const std::string& piece : content_pieces()) {
    if (piece.find("can") != std::string::npos) break;
    shown_before += piece;
  }
  EXPECT_EQ(shown_before, "Hello");

  // The answer ends while text is held back, by its end or by the limit.
  EXPECT_EQ(answer(request, "Hello! How").output.content, "Hello! How");
  request.new_tokens_max = static_cast<int64_t>(encode("Hello!").size());
  EXPECT_EQ(answer(request, encode("Hello! How are")).output.content, "Hello!");
}

TEST_F(ChatModelTest, AStopStringDoesNotReachOverAMarker) {
  ChatRequest request = ask("Hi");
  request.stops = {"\n\n", "12345"};
  const ChatAnswer newlines = answer(request, "<|channel>thought\nSum\n<channel|>\n4");
  EXPECT_EQ(newlines.output.reasoning, "Sum");
  EXPECT_EQ(newlines.output.content, "\n4");
  const ChatAnswer digits = answer(request, "<|channel>thought\n12<channel|>345");
  EXPECT_EQ(digits.output.reasoning, "12");
  EXPECT_EQ(digits.output.content, "345");
  // What stands behind one is found.
  EXPECT_EQ(answer(request, encode("<|channel>thought\n12<channel|>3 12345")).output.content, "3 ");
}

// ---- The models' defaults ----

TEST(DefaultSamplingTest, IsWhatTheAuthorsSay) {
  const checkpoint::GenerationConfig config = {.temperature = 0.5F,
                                               .top_k = 20,
                                               .top_p = 0.75F,
                                               .min_p = 0.125F,
                                               .repetition_penalty = 1.25F,
                                               .suppress_tokens = {5, 6}};
  const SamplingParams params = default_sampling(config);
  EXPECT_EQ(params.temperature, 0.5F);
  EXPECT_EQ(params.top_k, 20);
  EXPECT_EQ(params.top_p, 0.75F);
  EXPECT_EQ(params.min_p, 0.125F);
  EXPECT_EQ(params.repetition_penalty, 1.25F);
  EXPECT_THAT(params.suppressed_tokens, testing::ElementsAre(5, 6));
  EXPECT_EQ(params.seed, 0U);
}

TEST(DefaultSamplingTest, WithoutSamplingTakesTheMostLikely) {
  const SamplingParams params =
      default_sampling({.do_sample = false, .temperature = 0.5F, .suppress_tokens = {5}});
  EXPECT_EQ(params.temperature, 0);
  EXPECT_THAT(params.suppressed_tokens, testing::ElementsAre(5));
}

// ---- The demo model itself ----

class DemoChatTest : public testing::TestWithParam<size_t> {};

TEST_P(DemoChatTest, AnswersAsTransformersDid) {
  const auto checkpoint = checkpoint::Checkpoint::open(kDemo);
  const auto cpu = backend::make_cpu_backend({.threads = 1, .compute = backend::Compute::kF32});
  NoProgress progress;
  const model::Network network =
      model::load_network(checkpoint.config(), checkpoint.weights(), *cpu, progress);
  const text::Tokenizer tokenizer = text::load_tokenizer(kDemo / "tokenizer.json");
  const text::ChatTemplate chat_template(text::load_template_source(kDemo).text, "chat_template.jinja");
  const MemoryPlan plan = plan_memory(network.config, *cpu, 0, uint64_t{1} << 30U, {.context = 256});
  NetworkRunner runner(network, *cpu, plan.options);
  Engine engine(runner, plan.options);
  ChatModel chat(engine, tokenizer, chat_template, checkpoint.generation().eos_token_ids);

  const nlohmann::ordered_json prompt = golden_prompt(GetParam());
  const auto& expected = prompt.at("float32");
  ChatRequest request = request_of(prompt);
  // The first question of the conversation before, so that a part of the prompt is in the cache.
  ChatRequest opening = request;
  opening.conversation.messages.resize(1);
  opening.new_tokens_max = 20;
  chat.answer(opening, [](const OutputDelta&) {});

  std::string generated;
  const ChatAnswer answer = chat.answer(request, [&](const OutputDelta& delta) { generated += delta.raw; });
  Tokens tokens = expected.at("ids").get<Tokens>();
  tokens.resize(expected.at("stop").get<size_t>());
  EXPECT_EQ(answer.generation.tokens, tokens);
  EXPECT_GT(answer.generation.cached_tokens, 10);
  EXPECT_TRUE(expected.at("text").get<std::string>().starts_with(generated));
}

// Without tools and one turn, a call, its result, and three turns.
INSTANTIATE_TEST_SUITE_P(Prompts, DemoChatTest, testing::Values(0, 7, 8, 9));

}  // namespace
}  // namespace beryl::engine
