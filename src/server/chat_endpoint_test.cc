// The shapes are those of OpenAI's reference and of vLLM's extensions to it, written by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/api_for_tests.h"

namespace beryl::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kPath = "/v1/chat/completions";

Json make_body(Json more = Json::object()) {
  Json body = {{"model", "demo"},
               {"messages", Json::array({{{"role", "user"}, {"content", "Hi"}}})},
               {"temperature", 0}};
  for (const auto& [name, value] : more.items()) body[name] = value;
  return body;
}

const Json kTool = {{"type", "function"},
                    {"function", {{"name", "calculate"}, {"parameters", Json::object()}}}};
const std::string kCall = "<|tool_call>call:calculate{expression:<|\"|>12*7<|\"|>}<tool_call|>";

class ChatEndpointTest : public testing::Test {
 protected:
  // The `delta` of each chunk.
  static std::vector<Json> deltas(const RecordingResponder& responder) {
    std::vector<Json> deltas;
    for (const Json& event : responder.events()) {
      if (!event.at("choices").empty()) deltas.push_back(event.at("choices")[0].at("delta"));
    }
    return deltas;
  }

  ApiForTests setup;
};

// ---- Whole answers ----

TEST_F(ChatEndpointTest, AnswersInOpenAisShape) {
  const auto responder = setup.post(kPath, make_body(), {"Hello!"});
  ASSERT_EQ(responder->response.status, 200);
  EXPECT_EQ(responder->response.content_type, "application/json");
  Json reply = responder->json();
  EXPECT_GT(reply.at("created").get<int64_t>(), 1700000000);
  reply.erase("created");
  const auto prompt = static_cast<int64_t>(setup.engine.submitted.at(0).request.prompt.size());
  const auto tokens = static_cast<int64_t>(setup.encode("Hello!").size()) + 1;  // and the end of the turn
  const Json expected = {{"id", "chatcmpl-7"},
                         {"object", "chat.completion"},
                         {"model", "demo"},
                         {"choices",
                          {{{"index", 0},
                            {"message", {{"role", "assistant"}, {"content", "Hello!"}, {"refusal", nullptr}}},
                            {"logprobs", nullptr},
                            {"finish_reason", "stop"},
                            {"stop_reason", nullptr}}}},
                         {"usage",
                          {{"prompt_tokens", prompt},
                           {"completion_tokens", tokens},
                           {"total_tokens", prompt + tokens},
                           {"prompt_tokens_details", {{"cached_tokens", 3}}},
                           {"completion_tokens_details", {{"reasoning_tokens", 0}}}}}};
  EXPECT_EQ(reply.dump(), expected.dump());
  EXPECT_EQ(responder->notes.at("finish_reason"), "stop");
  EXPECT_EQ(responder->last_words, 1);
}

TEST_F(ChatEndpointTest, FeedsTheTemplatesPrompt) {
  setup.post(kPath, make_body(), {"Hello!"});
  const engine::Request& request = setup.engine.submitted.at(0).request;
  EXPECT_EQ(setup.decode(request.prompt),
            "<bos><|turn>user\nHi<turn|>\n<|turn>model\n<|channel>thought\n<channel|>");
  // Up to where the next turn's prompt has an answer in place of the empty thought.
  ASSERT_THAT(request.snapshot_positions, SizeIs(1));
  const auto shared = request.prompt.begin() + request.snapshot_positions[0];
  EXPECT_EQ(setup.decode({request.prompt.begin(), shared}), "<bos><|turn>user\nHi<turn|>\n<|turn>model\n");
  EXPECT_EQ(request.new_tokens_max, 200 - static_cast<int64_t>(request.prompt.size()));
}

TEST_F(ChatEndpointTest, ReasoningHasBothNames) {
  const auto responder = setup.post(kPath, make_body({{"chat_template_kwargs", {{"enable_thinking", true}}}}),
                                    {"<|channel>thought\nIt is 4.<channel|>4"});
  const Json reply = responder->json();
  const Json& message = reply.at("choices")[0].at("message");
  EXPECT_EQ(message.at("reasoning"), "It is 4.");
  EXPECT_EQ(message.at("reasoning_content"), "It is 4.");
  EXPECT_EQ(message.at("content"), "4");
  EXPECT_GT(reply.at("usage").at("completion_tokens_details").at("reasoning_tokens"), 2);
  EXPECT_THAT(setup.decode(setup.engine.submitted[0].request.prompt), HasSubstr("<|think|>"));
}

TEST_F(ChatEndpointTest, EffortTurnsThinkingOnAndOff) {
  setup.post(kPath, make_body({{"reasoning_effort", "low"}}));
  setup.post(kPath, make_body({{"reasoning_effort", "none"}}));
  setup.post(kPath, make_body({{"reasoning_effort", "high"},
                               {"chat_template_kwargs", {{"enable_thinking", false}}}}));
  const auto thinks = [&](size_t i) {
    return setup.decode(setup.engine.submitted.at(i).request.prompt).find("<|think|>") != std::string::npos;
  };
  EXPECT_TRUE(thinks(0));
  EXPECT_FALSE(thinks(1));
  EXPECT_FALSE(thinks(2));
}

TEST_F(ChatEndpointTest, ReasoningCanBeLeftOut) {
  const auto responder = setup.post(kPath, make_body({{"include_reasoning", false}}),
                                    {"<|channel>thought\nIt is 4.<channel|>4"});
  EXPECT_FALSE(responder->json().at("choices")[0].at("message").contains("reasoning"));
}

TEST_F(ChatEndpointTest, CallsTools) {
  const auto responder = setup.post(kPath, make_body({{"tools", {kTool}}}), {kCall});
  const Json reply = responder->json();
  const Json& choice = reply.at("choices")[0];
  EXPECT_EQ(choice.at("finish_reason"), "tool_calls");
  EXPECT_TRUE(choice.at("message").at("content").is_null());
  const Json& calls = choice.at("message").at("tool_calls");
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_THAT(calls[0].at("id").get<std::string>(), testing::StartsWith("call_"));
  EXPECT_EQ(calls[0].at("type"), "function");
  EXPECT_EQ(calls[0].at("function").at("name"), "calculate");
  EXPECT_EQ(Json::parse(calls[0].at("function").at("arguments").get<std::string>()),
            Json({{"expression", "12*7"}}));
}

TEST_F(ChatEndpointTest, OneCallWhenTheyMustNotBeParallel) {
  Json body = make_body({{"tools", {kTool}}});
  EXPECT_EQ(setup.post(kPath, body, {kCall + kCall})->json()["choices"][0]["message"]["tool_calls"].size(),
            2U);
  body["parallel_tool_calls"] = false;
  const Json reply = setup.post(kPath, body, {kCall + kCall})->json();
  EXPECT_EQ(reply["choices"][0]["message"]["tool_calls"].size(), 1U);
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "tool_calls");
}

TEST_F(ChatEndpointTest, WithoutToolsACallIsText) {
  const Json reply =
      setup.post(kPath, make_body({{"tools", {kTool}}, {"tool_choice", "none"}}), {"So " + kCall})->json();
  const Json& message = reply["choices"][0]["message"];
  EXPECT_EQ(message["content"], "So " + kCall);
  EXPECT_FALSE(message.contains("tool_calls"));
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(setup.decode(setup.engine.submitted[0].request.prompt).find("calculate"), std::string::npos);
}

TEST_F(ChatEndpointTest, WhatTheModelGetsWrongIsContent) {
  const Json reply =
      setup.post(kPath, make_body({{"tools", {kTool}}}), {"<|tool_call>calculate 12*7"})->json();
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "stop");
  EXPECT_THAT(reply["choices"][0]["message"]["content"].get<std::string>(), HasSubstr("calculate 12*7"));
}

TEST_F(ChatEndpointTest, ReportsLogprobs) {
  setup.engine.scripts.push_back(setup.encode("a\U0001F642"));
  const Json reply =
      setup.post(kPath, make_body({{"logprobs", true}, {"top_logprobs", 2}, {"max_tokens", 2}}))->json();
  const Json& logprobs = reply["choices"][0]["logprobs"];
  EXPECT_TRUE(logprobs.at("refusal").is_null());
  ASSERT_EQ(logprobs.at("content").size(), 2U);
  const Json& first = logprobs["content"][0];
  EXPECT_EQ(first["token"], "a");
  EXPECT_EQ(first["logprob"], -0.5);
  EXPECT_EQ(first["bytes"], Json::array({97}));
  ASSERT_EQ(first["top_logprobs"].size(), 2U);
  EXPECT_EQ(first["top_logprobs"][0], Json({{"token", "a"}, {"logprob", -0.5}, {"bytes", {97}}}));
  EXPECT_EQ(first["top_logprobs"][1]["logprob"], -1.25);
  // The first byte of the character.
  EXPECT_EQ(logprobs["content"][1]["token"], "\\xf0");
  EXPECT_EQ(logprobs["content"][1]["bytes"], Json::array({0xF0}));
}

TEST_F(ChatEndpointTest, SamplesAreChoices) {
  const Json reply = setup.post(kPath, make_body({{"n", 2}}), {"One", "Two"})->json();
  EXPECT_EQ(setup.engine.submitted.at(0).request.samples, 2);
  ASSERT_EQ(reply["choices"].size(), 2U);
  EXPECT_EQ(reply["choices"][1]["index"], 1);
  EXPECT_EQ(reply["choices"][1]["message"]["content"], "Two");
  EXPECT_EQ(reply["usage"]["prompt_tokens"], setup.engine.submitted[0].request.prompt.size());
  EXPECT_EQ(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 3);
}

TEST_F(ChatEndpointTest, TellsWhatStoppedIt) {
  Json reply = setup.post(kPath, make_body({{"stop", {"never", "! How"}}}), {"Hello! How are you"})->json();
  EXPECT_EQ(reply["choices"][0]["message"]["content"], "Hello");
  EXPECT_EQ(reply["choices"][0]["stop_reason"], "! How");
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "stop");
  const int32_t end = setup.encode("Hello! How").back();
  reply = setup.post(kPath, make_body({{"stop_token_ids", {end}}}), {"Hello! How are you"})->json();
  EXPECT_EQ(reply["choices"][0]["message"]["content"], "Hello!");
  EXPECT_EQ(reply["choices"][0]["stop_reason"], end);
}

// ---- Streams ----

TEST_F(ChatEndpointTest, StreamsATokenAChunk) {
  const std::string text = "Hello! How can I help";
  const auto responder = setup.post(kPath, make_body({{"stream", true}}), {text});
  EXPECT_TRUE(responder->is_stream);
  EXPECT_EQ(responder->response.content_type, "text/event-stream; charset=utf-8");
  EXPECT_EQ(responder->header("Cache-Control"), "no-cache");
  EXPECT_EQ(responder->pieces.back(), "data: [DONE]\n\n");
  EXPECT_EQ(responder->last_words, 1);

  const std::vector<Json> events = responder->events();
  const std::vector<int32_t> tokens = setup.encode(text);
  // The role, the tokens, the end of the turn, the finish reason.
  ASSERT_THAT(events, SizeIs(1 + tokens.size() + 1 + 1));
  Json first = events.front();
  first.erase("created");
  EXPECT_EQ(first.dump(), R"({"id":"chatcmpl-7","object":"chat.completion.chunk","model":"demo","choices":)"
                          R"([{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,)"
                          R"("finish_reason":null}]})");
  std::string content;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const Json& choice = events[1 + i]["choices"][0];
    EXPECT_EQ(choice["delta"].size(), 1U);
    EXPECT_TRUE(choice["finish_reason"].is_null());
    content += choice["delta"]["content"].get<std::string>();
    EXPECT_EQ(events[1 + i]["id"], "chatcmpl-7");
    EXPECT_EQ(events[1 + i]["created"], events[0]["created"]);
    EXPECT_FALSE(events[1 + i].contains("usage"));
  }
  EXPECT_EQ(content, text);
  EXPECT_EQ(events.back()["choices"][0]["delta"], Json::object());
  EXPECT_EQ(events.back()["choices"][0]["finish_reason"], "stop");
}

TEST_F(ChatEndpointTest, NothingIsSentBeforeTheFirstToken) {
  const auto responder = setup.send("POST", kPath, make_body({{"stream", true}}).dump());
  EXPECT_FALSE(responder->is_stream);
  EXPECT_THAT(responder->pieces, IsEmpty());
}

TEST_F(ChatEndpointTest, ReportsUsageInAChunkOfItsOwn) {
  const auto responder = setup.post(
      kPath, make_body({{"stream", true}, {"stream_options", {{"include_usage", true}}}}), {"Hello!"});
  const std::vector<Json> events = responder->events();
  EXPECT_EQ(events.back()["choices"], Json::array());
  EXPECT_EQ(events.back()["usage"]["completion_tokens"], setup.encode("Hello!").size() + 1);
  EXPECT_EQ(events.back()["usage"]["prompt_tokens_details"]["cached_tokens"], 3);
  for (size_t i = 0; i + 1 < events.size(); ++i) EXPECT_TRUE(events[i].at("usage").is_null());
}

TEST_F(ChatEndpointTest, ReportsUsageInEveryChunk) {
  const auto responder =
      setup.post(kPath,
                 make_body({{"stream", true},
                            {"stream_options", {{"include_usage", true}, {"continuous_usage_stats", true}}}}),
                 {"Hello!"});
  const std::vector<Json> events = responder->events();
  for (size_t i = 1; i + 2 < events.size(); ++i) {
    EXPECT_EQ(events[i].at("usage").at("completion_tokens"), i);
    EXPECT_EQ(events[i]["usage"]["total_tokens"], events[i]["usage"]["prompt_tokens"].get<size_t>() + i);
  }
}

TEST_F(ChatEndpointTest, HeldBackTextHasEmptyChunks) {
  const auto responder =
      setup.post(kPath, make_body({{"stream", true}, {"stop", "! How are"}}), {"Hello! How can"});
  const std::vector<Json> parts = deltas(*responder);
  EXPECT_THAT(parts, SizeIs(1 + setup.encode("Hello! How can").size() + 1 + 1));
  EXPECT_THAT(parts, testing::Contains(Json::object()).Times(testing::Ge(2)));
  std::string content;
  for (const Json& delta : parts) content += delta.value("content", "");
  EXPECT_EQ(content, "Hello! How can");
}

TEST_F(ChatEndpointTest, StreamsReasoningWithBothNames) {
  const auto responder =
      setup.post(kPath, make_body({{"stream", true}}), {"<|channel>thought\nIt is 4.<channel|>4"});
  std::string reasoning, other, content;
  for (const Json& delta : deltas(*responder)) {
    reasoning += delta.value("reasoning", "");
    other += delta.value("reasoning_content", "");
    content += delta.value("content", "");
  }
  EXPECT_EQ(reasoning, "It is 4.");
  EXPECT_EQ(other, reasoning);
  EXPECT_EQ(content, "4");
}

TEST_F(ChatEndpointTest, StreamsToolCallsInPieces) {
  const auto responder =
      setup.post(kPath, make_body({{"stream", true}, {"tools", {kTool}}}), {kCall + kCall});
  std::vector<Json> calls;
  for (const Json& delta : deltas(*responder)) {
    for (const Json& call : delta.value("tool_calls", Json::array())) calls.push_back(call);
  }
  std::vector<std::string> arguments(2);
  std::vector<std::string> ids;
  for (const Json& call : calls) {
    if (call.contains("id")) {
      ids.push_back(call["id"]);
      EXPECT_EQ(call["index"], ids.size() - 1);
      EXPECT_EQ(call["type"], "function");
      EXPECT_EQ(call["function"]["name"], "calculate");
    } else {
      EXPECT_FALSE(call["function"].contains("name"));
    }
    arguments.at(call["index"].get<size_t>()) += call["function"]["arguments"].get<std::string>();
  }
  ASSERT_THAT(ids, SizeIs(2));
  EXPECT_NE(ids[0], ids[1]);
  EXPECT_GT(calls.size(), 4U);
  for (const std::string& text : arguments) EXPECT_EQ(Json::parse(text), Json({{"expression", "12*7"}}));
  EXPECT_EQ(responder->events().back()["choices"][0]["finish_reason"], "tool_calls");
}

TEST_F(ChatEndpointTest, StreamsLogprobsWithTheirTokens) {
  const auto responder = setup.post(kPath, make_body({{"stream", true}, {"logprobs", true}}), {"Hello!"});
  const std::vector<Json> events = responder->events();
  for (size_t i = 1; i + 1 < events.size(); ++i) {
    EXPECT_EQ(events[i]["choices"][0]["logprobs"]["content"].size(), 1U);
  }
  EXPECT_TRUE(events.back()["choices"][0]["logprobs"].is_null());
}

// ---- Ends that are none ----

TEST_F(ChatEndpointTest, AFailureBeforeTheFirstTokenIsAResponse) {
  setup.engine.failure = std::make_exception_ptr(Error(ErrorCode::kNumeric, "logits are NaN"));
  const auto responder = setup.post(kPath, make_body({{"stream", true}}));
  EXPECT_EQ(responder->response.status, 500);
  EXPECT_EQ(responder->json()["error"]["message"], "logits are NaN");
  EXPECT_EQ(responder->header("x-should-retry"), "false");
}

TEST_F(ChatEndpointTest, AFailureLaterIsAnEvent) {
  setup.engine.failure = std::make_exception_ptr(Error(ErrorCode::kNumeric, "logits are NaN"));
  setup.engine.scripts.push_back(setup.encode("Hello!"));
  const auto responder = setup.post(kPath, make_body({{"stream", true}}));
  EXPECT_EQ(responder->response.status, 200);
  EXPECT_EQ(responder->events().back()["error"]["message"], "logits are NaN");
  EXPECT_EQ(responder->pieces.back(), "data: [DONE]\n\n");
  EXPECT_EQ(responder->last_words, 1);
}

TEST_F(ChatEndpointTest, AClientThatGoesAwayCancels) {
  const auto responder = setup.send("POST", kPath, make_body().dump());
  ASSERT_TRUE(responder->gone);
  responder->gone();
  EXPECT_THAT(setup.engine.cancelled, ElementsAre(1U));
  setup.engine.scripts.push_back(setup.encode("Hello!"));
  setup.engine.play();
  EXPECT_EQ(responder->last_words, 0);
}

TEST_F(ChatEndpointTest, SaysWithBothNumbersWhatDoesNotFit) {
  const auto responder = setup.post(kPath, make_body({{"max_tokens", 190}}));
  EXPECT_EQ(responder->response.status, 400);
  const Json error = responder->json()["error"];
  const auto prompt = error["n_prompt_tokens"].get<int64_t>();
  EXPECT_GT(prompt, 10);
  EXPECT_EQ(error["n_ctx"], 200);
  EXPECT_EQ(error["code"], "context_length_exceeded");
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr(std::to_string(prompt + 190)));
  EXPECT_THAT(setup.engine.submitted, IsEmpty());
}

}  // namespace
}  // namespace beryl::server
