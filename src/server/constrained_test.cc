// Answers that follow a constraint: what is refused before there is one, and what a model writes that left to
// itself writes nonsense.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "server/api_for_tests.h"
#include "server/live_api_for_tests.h"

namespace beryl::server {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::SizeIs;
using testing::StartsWith;

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kCompletion = "/v1/completions";

Json make_body(const char* path, const Json& more) {
  Json body = {{"max_tokens", 60}};
  if (path == std::string_view(kChat)) {
    body["messages"] = {{{"role", "user"}, {"content", "Hi"}}};
  } else {
    body["prompt"] = "Hi";
  }
  for (const auto& [name, value] : more.items()) body[name] = value;
  return body;
}

Json make_tool(const std::string& name, const std::string& parameters) {
  return {{"type", "function"}, {"function", {{"name", name}, {"parameters", Json::parse(parameters)}}}};
}

const Json kTools = {make_tool("roll", R"({"type": "object", "required": ["sides"],
                                          "properties": {"sides": {"enum": [6, 20]}}})"),
                     make_tool("wait", R"({"type": "object", "required": ["long"],
                                          "properties": {"long": {"type": "boolean"}}})")};

// ---- What is refused ----

class ConstraintErrorTest : public testing::Test {
 protected:
  Json refusal_of(const char* path, const Json& more) {
    const auto responder = setup.send("POST", path, make_body(path, more).dump());
    EXPECT_EQ(responder->response.status, 400) << responder->response.body;
    EXPECT_THAT(setup.engine.submitted, IsEmpty());
    const Json error = responder->json().at("error");
    EXPECT_EQ(error.at("type"), "invalid_request_error");
    return error;
  }
  void expect_refused(const Json& more, const std::string& field, const std::string& reason) {
    for (const char* path : {kChat, kCompletion}) {
      const Json error = refusal_of(path, more);
      EXPECT_EQ(error.at("param"), field);
      EXPECT_THAT(error.at("message").get<std::string>(), AllOf(StartsWith(field + ": "), HasSubstr(reason)));
    }
  }

  ApiForTests setup;
};

TEST_F(ConstraintErrorTest, SaysWhatIsWrongWithAConstraint) {
  const auto structured = [](const char* name, const Json& value) {
    return Json{{"structured_outputs", {{name, value}}}};
  };
  const Json schema = {{"type", "object"}, {"properties", {{"a", {{"not", {{"type", "null"}}}}}}}};
  expect_refused({{"response_format", {{"type", "json_schema"}, {"json_schema", {{"schema", schema}}}}}},
                 "response_format.json_schema.schema", "'not'");
  expect_refused(structured("json", schema), "structured_outputs.json", "/properties/a");
  expect_refused(structured("json", "{"), "structured_outputs.json", "JSON");
  expect_refused(structured("json", {{"enum", Json::array()}}), "structured_outputs.json", "");
  expect_refused(structured("regex", "(a"), "structured_outputs.regex", "')' is missing");
  expect_refused(structured("regex", "(a)\\1"), "structured_outputs.regex", "");
  expect_refused(structured("regex", std::string(300'000, 'a')), "structured_outputs.regex", "262144 bytes");
  expect_refused(structured("choice", Json::array()), "structured_outputs.choice", "");
  expect_refused(structured("grammar", "root ::= root \"a\""), "structured_outputs.grammar", "");
}

TEST_F(ConstraintErrorTest, ConstrainedCallsNeedToolsThatCanBeWritten) {
  const Json broken = Json::array({make_tool("f", R"({"type": "array"})")});
  for (const Json& more :
       {Json{{"tool_choice", "required"}}, Json{{"structured_outputs", {{"regex", "a"}}}}}) {
    Json body = more;
    body["tools"] = broken;
    const Json error = refusal_of(kChat, body);
    EXPECT_EQ(error["param"], "tools");
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("tool 'f'"));
  }
}

TEST_F(ConstraintErrorTest, ToolsThatMayBeCalledAreNoReasonToFail) {
  const Json broken = Json::array({make_tool("f", R"({"type": "array"})")});
  setup.post(kChat, make_body(kChat, {{"tools", broken}}), {"Hello"});
  setup.post(kChat, make_body(kChat, {{"tools", broken}}), {"Hello"});
  ASSERT_THAT(setup.engine.submitted, SizeIs(2));
  EXPECT_FALSE(setup.engine.submitted[0].request.make_constraint);
  EXPECT_THAT(setup.warnings,
              ElementsAre(AllOf(HasSubstr("do not follow a grammar"), HasSubstr("tool 'f'"))));
}

TEST_F(ConstraintErrorTest, OnlyWhatIsAskedForIsConstrained) {
  const auto is_constrained = [&](const char* path, const Json& more) {
    setup.send("POST", path, make_body(path, more).dump());
    return static_cast<bool>(setup.engine.submitted.back().request.make_constraint);
  };
  EXPECT_FALSE(is_constrained(kChat, Json::object()));
  EXPECT_FALSE(is_constrained(kCompletion, {{"response_format", {{"type", "text"}}}}));
  EXPECT_TRUE(is_constrained(kCompletion, {{"response_format", {{"type", "json_object"}}}}));
  EXPECT_TRUE(is_constrained(kChat, {{"tools", kTools}}));
  EXPECT_FALSE(is_constrained(kChat, {{"tools", kTools}, {"tool_choice", "none"}}));
  EXPECT_FALSE(is_constrained(kChat, {{"tools", kTools}, {"min_tokens", 5}}));
  EXPECT_FALSE(is_constrained(kChat, {{"tools", kTools}, {"ignore_eos", true}}));
}

TEST_F(ConstraintErrorTest, GrammarsStayWithinTheirLimits) {
  text::grammar::GrammarLimits limits;
  limits.states_max = 5;
  Api api(setup.model(), setup.engine, {.threads = 0, .grammar_limits = limits});
  const auto responder = std::make_shared<RecordingResponder>();
  const Json body = make_body(kChat, {{"structured_outputs", {{"regex", "[a-z]{9}x"}}}});
  api.handle({.method = "POST", .path = kChat, .body = body.dump()}, responder);
  EXPECT_EQ(responder->response.status, 400);
  EXPECT_THAT(responder->json()["error"]["message"].get<std::string>(), HasSubstr("more than 5 states"));
}

// ---- What is written ----

class ConstrainedTest : public testing::Test, protected LiveApiForTests {
 protected:
  std::string post(const char* path, const Json& more, int expected_status = 200) {
    const auto responder = std::make_shared<WaitingResponder>();
    api.handle({.method = "POST", .path = path, .body = make_body(path, more).dump(), .id = "7"}, responder);
    std::string body = responder->wait();
    EXPECT_EQ(responder->status(), expected_status) << body;
    return body;
  }
  Json choice(const char* path, const Json& more) {
    return Json::parse(post(path, more)).at("choices").at(0);
  }
  Json message(const Json& more) { return choice(kChat, more).at("message"); }
  // Of a thousand models, one.
  Json with_seed(Json more, int seed) {
    more["seed"] = seed;
    more["temperature"] = 2;
    more["top_k"] = -1;
    return more;
  }
};

TEST_F(ConstrainedTest, AnswersFollowTheirConstraint) {
  const Json format = {{"structured_outputs", {{"regex", "[ab]{3}-(x|y)"}}}};
  for (int seed = 0; seed < 5; ++seed) {
    const Json chat = choice(kChat, with_seed(format, seed));
    EXPECT_THAT(chat["message"]["content"].get<std::string>(), MatchesRegex("[ab][ab][ab]-[xy]"));
    EXPECT_EQ(chat["finish_reason"], "stop");
    const Json text = choice(kCompletion, with_seed(format, seed));
    EXPECT_THAT(text["text"].get<std::string>(), MatchesRegex("[ab][ab][ab]-[xy]"));
    EXPECT_EQ(text["finish_reason"], "stop");
  }
}

TEST_F(ConstrainedTest, ALimitOfTokensIsALength) {
  const Json chat = choice(kChat, {{"structured_outputs", {{"regex", "a{100}"}}}, {"max_tokens", 3}});
  EXPECT_THAT(chat["message"]["content"].get<std::string>(), MatchesRegex("a+"));
  EXPECT_EQ(chat["finish_reason"], "length");
}

TEST_F(ConstrainedTest, EverySampleAndPromptFollowsOnItsOwn) {
  const Json body = {{"structured_outputs", {{"choice", {"one", "two"}}}}, {"n", 3}, {"prompt", {"a", "b"}}};
  const Json reply = Json::parse(post(kCompletion, with_seed(body, 1)));
  ASSERT_THAT(reply["choices"], SizeIs(6));
  for (const Json& choice : reply["choices"]) {
    EXPECT_THAT(choice["text"].get<std::string>(), testing::AnyOf("one", "two"));
  }
}

TEST_F(ConstrainedTest, ForcedCallsFitTheirTool) {
  for (int seed = 0; seed < 5; ++seed) {
    const Json required = choice(kChat, with_seed({{"tools", kTools}, {"tool_choice", "required"}}, seed));
    EXPECT_EQ(required["finish_reason"], "tool_calls");
    EXPECT_TRUE(required["message"]["content"].is_null());
    ASSERT_FALSE(required["message"]["tool_calls"].empty());
    for (const Json& call : required["message"]["tool_calls"]) {
      const std::string arguments = call["function"]["arguments"];
      EXPECT_THAT(arguments, call["function"]["name"] == "roll"
                                 ? MatchesRegex("\\{\"sides\":(6|20)\\}")
                                 : MatchesRegex("\\{\"long\":(true|false)\\}"));
    }
    const Json named = {{"type", "function"}, {"function", {{"name", "wait"}}}};
    const Json calls = message(with_seed({{"tools", kTools}, {"tool_choice", named}}, seed))["tool_calls"];
    ASSERT_THAT(calls, SizeIs(1));
    EXPECT_EQ(calls[0]["function"]["name"], "wait");
  }
}

TEST_F(ConstrainedTest, OneForcedCallWhenTheyMustNotBeParallel) {
  Json body = {{"tools", kTools}, {"tool_choice", "required"}};
  size_t count_max = 0;
  for (int seed = 0; seed < 12; ++seed) {
    body["parallel_tool_calls"] = true;
    count_max = std::max(count_max, message(with_seed(body, seed))["tool_calls"].size());
    body["parallel_tool_calls"] = false;
    EXPECT_THAT(message(with_seed(body, seed))["tool_calls"], SizeIs(1));
  }
  EXPECT_GT(count_max, 1U);
}

// The bias makes the model open a call at once; what follows is the grammar's doing.
TEST_F(ConstrainedTest, CallsThatBeginFitTheirTool) {
  const int32_t marker = setup.encode("<|tool_call>").front();
  Json body = {
      {"tools", kTools}, {"logit_bias", {{std::to_string(marker), 100}}}, {"parallel_tool_calls", false}};
  const Json called = choice(kChat, with_seed(body, 3));
  EXPECT_EQ(called["finish_reason"], "tool_calls");
  EXPECT_GE(called["message"]["tool_calls"].size(), 1U);
  body["tool_choice"] = "none";
  EXPECT_FALSE(message(with_seed(body, 3)).contains("tool_calls"));
}

TEST_F(ConstrainedTest, WithToolsAFormatHoldsUnlessOneIsCalled) {
  Json body = {{"tools", kTools}, {"structured_outputs", {{"choice", {"one", "two"}}}}};
  const Json bias = {{std::to_string(setup.encode("<|tool_call>").front()), 100}};
  for (int seed = 0; seed < 5; ++seed) {
    body["logit_bias"] = bias;
    EXPECT_GE(message(with_seed(body, seed))["tool_calls"].size(), 1U);
    body["logit_bias"] = {{bias.begin().key(), -100}};
    const Json text = message(with_seed(body, seed));
    EXPECT_FALSE(text.contains("tool_calls"));
    EXPECT_THAT(text["content"].get<std::string>(), testing::AnyOf("one", "two"));
  }
}

// The biases make a thought begin, and give its end the same chance as all other tokens together.
TEST_F(ConstrainedTest, ThoughtsAreFree) {
  const auto id = [&](const char* marker) { return std::to_string(setup.encode(marker).front()); };
  const Json thinks = {{"reasoning_effort", "high"},
                       {"logit_bias", {{id("<|channel>"), 15}, {id("<channel|>"), 15}}}};
  Json with_format = thinks, with_call = thinks;
  with_format["structured_outputs"] = {{"choice", {"one", "two"}}};
  with_call["tools"] = kTools;
  with_call["tool_choice"] = {{"type", "function"}, {"function", {{"name", "wait"}}}};
  int formats = 0, calls = 0;
  for (int seed = 0; seed < 10; ++seed) {
    const Json format = choice(kChat, with_seed(with_format, seed));
    if (format["finish_reason"] == "stop") {
      EXPECT_THAT(format["message"]["content"].get<std::string>(), testing::AnyOf("one", "two"));
      formats += format["message"].contains("reasoning") ? 1 : 0;
    }
    const Json call = choice(kChat, with_seed(with_call, seed));
    if (call["finish_reason"] == "tool_calls") {
      EXPECT_EQ(call["message"]["tool_calls"][0]["function"]["name"], "wait");
      calls += call["message"].contains("reasoning") ? 1 : 0;
    }
  }
  EXPECT_GT(formats, 0);
  EXPECT_GT(calls, 0);
}

// Until something else than a bracket comes, each of them is of one kind or the other.
TEST_F(ConstrainedTest, AGrammarThatCannotBeFollowedFailsItsRequestAlone) {
  const Json body = {
      {"structured_outputs", {{"grammar", "root ::= \"(\" root \")\" | \"(\" root \"]\" | \"x\""}}},
      {"logit_bias", {{std::to_string(setup.encode("(").front()), 100}}}};
  const Json error = Json::parse(post(kChat, body, 400))["error"];
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_EQ(error["param"], "structured_outputs.grammar");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("too ambiguous"));
  Json streamed = body;
  streamed["stream"] = true;
  const std::string events = post(kChat, streamed);
  EXPECT_THAT(events, AllOf(HasSubstr("\"content\":\"(\""), HasSubstr("too ambiguous")));
  EXPECT_TRUE(events.ends_with("data: [DONE]\n\n"));
  EXPECT_EQ(choice(kChat, {{"structured_outputs", {{"regex", "ok"}}}})["message"]["content"], "ok");
}

}  // namespace
}  // namespace beryl::server
