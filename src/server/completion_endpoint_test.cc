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

constexpr const char* kPath = "/v1/completions";
constexpr int32_t kBos = 2;
constexpr int32_t kTurnClose = 106;

class CompletionEndpointTest : public testing::Test {
 protected:
  Json answer(const Json& body, const std::vector<std::string>& answers) {
    const auto responder = setup.post(kPath, body, answers);
    EXPECT_EQ(responder->response.status, 200) << responder->response.body;
    return responder->json();
  }
  const std::vector<int32_t>& prompt(size_t i) const { return setup.engine.submitted.at(i).request.prompt; }

  ApiForTests setup;
};

TEST_F(CompletionEndpointTest, AnswersInOpenAisShape) {
  Json reply = answer({{"prompt", "One two"}, {"model", "other"}}, {" three"});
  EXPECT_EQ(setup.decode(prompt(0)), "<bos>One two");
  EXPECT_EQ(setup.engine.submitted[0].request.new_tokens_max, 16);
  reply.erase("created");
  const size_t tokens = setup.encode(" three").size() + 1;
  EXPECT_EQ(reply.dump(), Json({{"id", "cmpl-7"},
                                {"object", "text_completion"},
                                {"model", "demo"},
                                {"choices",
                                 {{{"index", 0},
                                   {"text", " three"},
                                   {"logprobs", nullptr},
                                   {"finish_reason", "stop"},
                                   {"stop_reason", nullptr}}}},
                                {"usage",
                                 {{"prompt_tokens", prompt(0).size()},
                                  {"completion_tokens", tokens},
                                  {"total_tokens", prompt(0).size() + tokens},
                                  {"prompt_tokens_details", {{"cached_tokens", 3}}},
                                  {"completion_tokens_details", {{"reasoning_tokens", 0}}}}}})
                              .dump());
}

TEST_F(CompletionEndpointTest, TakesPromptsInFourForms) {
  const std::vector<int32_t> ids = setup.encode("<bos>a b");
  const std::vector<int32_t> other = setup.encode("<bos>c");
  answer({{"prompt", ids}}, {"x"});
  EXPECT_EQ(prompt(0), ids);
  answer({{"prompt", {ids, other}}}, {"x", "y"});
  EXPECT_EQ(prompt(1), ids);
  EXPECT_EQ(prompt(2), other);
  const Json reply = answer({{"prompt", {"a b", "c"}}, {"n", 2}}, {"1", "2", "3", "4"});
  EXPECT_EQ(prompt(3), ids);
  EXPECT_EQ(prompt(4), other);
  ASSERT_EQ(reply["choices"].size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(reply["choices"][i]["index"], i);
    EXPECT_EQ(reply["choices"][i]["text"], std::to_string(i + 1));
  }
}

TEST_F(CompletionEndpointTest, PutsOneBosInFrontOfText) {
  answer({{"prompt", "<bos>a"}}, {"x"});
  EXPECT_EQ(setup.decode(prompt(0)), "<bos>a");
  answer({{"prompt", "a"}, {"add_special_tokens", false}}, {"x"});
  EXPECT_EQ(setup.decode(prompt(1)), "a");
}

TEST_F(CompletionEndpointTest, WarnsOfTokensWithoutBos) {
  const Json body = {{"prompt", setup.encode("a b")}};
  EXPECT_THAT(setup.post(kPath, body, {"x"})->header("x-beryl-warning"), HasSubstr("<bos>"));
  EXPECT_THAT(setup.post(kPath, body, {"x"})->header("x-beryl-warning"), HasSubstr("<bos>"));
  EXPECT_THAT(setup.warnings, ElementsAre(HasSubstr("<bos>")));
  EXPECT_EQ(setup.post(kPath, {{"prompt", "a b"}}, {"x"})->header("x-beryl-warning"), "");
}

// What lm-evaluation-harness asks for likelihoods with.
TEST_F(CompletionEndpointTest, EchoesWithLogprobs) {
  const std::vector<int32_t> ids = setup.encode("<bos>One two");
  const Json reply =
      answer({{"prompt", {ids}}, {"echo", true}, {"logprobs", 1}, {"max_tokens", 1}, {"temperature", 0}},
             {" three"});
  const Json& choice = reply["choices"][0];
  EXPECT_EQ(choice["text"], "<bos>One two three");
  EXPECT_EQ(choice["finish_reason"], "length");
  const Json& logprobs = choice["logprobs"];
  for (const char* field : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
    EXPECT_EQ(logprobs.at(field).size(), ids.size() + 1) << field;
  }
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  EXPECT_EQ(logprobs["tokens"][0], "<bos>");
  EXPECT_EQ(logprobs["tokens"][1], "One");
  for (size_t i = 1; i <= ids.size(); ++i) {
    const Json& top = logprobs["top_logprobs"][i];
    EXPECT_EQ(top.size(), 1U);
    // The same double in both places.
    EXPECT_EQ(top.at(logprobs["tokens"][i].get<std::string>()), logprobs["token_logprobs"][i]);
  }
  std::string text;
  for (size_t i = 0; i <= ids.size(); ++i) {
    EXPECT_EQ(logprobs["text_offset"][i], text.size());
    text += logprobs["tokens"][i].get<std::string>();
  }
}

TEST_F(CompletionEndpointTest, TheTokenThatEndsTheAnswerHasALogprob) {
  setup.engine.scripts.push_back({kTurnClose});
  const Json reply =
      answer({{"prompt", {setup.encode("<bos>a")}}, {"echo", true}, {"logprobs", 1}, {"max_tokens", 1}}, {});
  const Json& logprobs = reply["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json::array({"<bos>", "a", "<turn|>"}));
  EXPECT_EQ(logprobs["token_logprobs"].size(), 3U);
  EXPECT_EQ(reply["choices"][0]["text"], "<bos>a");
  EXPECT_EQ(reply["usage"]["completion_tokens"], 1);
}

TEST_F(CompletionEndpointTest, EchoOfTextLeavesOutTheBosPutInFront) {
  const Json reply = answer({{"prompt", "One"}, {"echo", true}, {"logprobs", 0}, {"max_tokens", 0}}, {});
  EXPECT_EQ(reply["choices"][0]["text"], "One");
  EXPECT_EQ(reply["choices"][0]["logprobs"]["tokens"], Json::array({"<bos>", "One"}));
  EXPECT_EQ(reply["choices"][0]["logprobs"]["text_offset"], Json::array({0, 0}));
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(reply["usage"]["completion_tokens"], 0);
  EXPECT_EQ(setup.engine.submitted[0].request.new_tokens_max, 0);
}

TEST_F(CompletionEndpointTest, OffsetsCountCharacters) {
  const Json reply = answer({{"prompt", "a"}, {"logprobs", 0}}, {"\u00e4\U0001F642b"});
  const Json& logprobs = reply["choices"][0]["logprobs"];
  const size_t last = logprobs["tokens"].size() - 2;  // before the end of the turn
  EXPECT_EQ(logprobs["tokens"][last], "b");
  EXPECT_EQ(logprobs["text_offset"][last], 2);
}

TEST_F(CompletionEndpointTest, StreamsInTheSameShape) {
  const auto responder =
      setup.post(kPath, {{"prompt", "One"}, {"stream", true}, {"echo", true}}, {" two three"});
  const std::vector<Json> events = responder->events();
  ASSERT_THAT(events, SizeIs(setup.encode(" two three").size() + 2));
  EXPECT_EQ(events[0]["object"], "text_completion");
  EXPECT_EQ(events[0]["choices"][0]["text"], "One two");
  std::string text;
  for (const Json& event : events) text += event["choices"][0]["text"].get<std::string>();
  EXPECT_EQ(text, "One two three");
  EXPECT_EQ(events.back()["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(responder->pieces.back(), "data: [DONE]\n\n");
}

TEST_F(CompletionEndpointTest, StreamsChoicesOfSeveralPrompts) {
  const auto responder = setup.post(kPath, {{"prompt", {"a", "b"}}, {"stream", true}}, {"x", "y"});
  std::vector<std::string> texts(2);
  for (const Json& event : responder->events()) {
    texts.at(event["choices"][0]["index"].get<size_t>()) += event["choices"][0]["text"].get<std::string>();
  }
  EXPECT_THAT(texts, ElementsAre("x", "y"));
  EXPECT_EQ(responder->last_words, 1);
}

TEST_F(CompletionEndpointTest, SpecialTokensAreShownWhenAsked) {
  EXPECT_EQ(answer({{"prompt", "a"}}, {"x<|channel>y"})["choices"][0]["text"], "xy");
  EXPECT_EQ(answer({{"prompt", "a"}, {"skip_special_tokens", false}}, {"x<|channel>y"})["choices"][0]["text"],
            "x<|channel>y");
}

TEST_F(CompletionEndpointTest, EndsAreIgnoredWhenAsked) {
  setup.engine.scripts.push_back(setup.encode("a<turn|>b<eos>c"));
  const Json reply = answer({{"prompt", "a"}, {"ignore_eos", true}, {"max_tokens", 5}}, {});
  EXPECT_EQ(reply["choices"][0]["text"], "abc");
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "length");
}

TEST_F(CompletionEndpointTest, MinTokensHoldOffStops) {
  const auto count = setup.encode("one, one,").size();
  const Json reply =
      answer({{"prompt", "a"}, {"stop", "one"}, {"min_tokens", count}}, {"one, one, one, one"});
  EXPECT_EQ(reply["choices"][0]["text"], "one, one, ");
  EXPECT_EQ(setup.engine.submitted[0].request.new_tokens_min, static_cast<int64_t>(count));
  EXPECT_THAT(setup.engine.submitted[0].request.end_tokens, testing::Contains(kTurnClose));
}

TEST_F(CompletionEndpointTest, StopStringsAreShownWhenAsked) {
  const Json reply =
      answer({{"prompt", "a"}, {"stop", "two"}, {"include_stop_str_in_output", true}}, {"one two three"});
  EXPECT_EQ(reply["choices"][0]["text"], "one two");
}

TEST_F(CompletionEndpointTest, LogprobsOfPromptsInVllmsShape) {
  const Json reply = answer({{"prompt", "a"}, {"prompt_logprobs", 1}, {"max_tokens", 0}}, {});
  const Json& list = reply["choices"][0]["prompt_logprobs"];
  ASSERT_EQ(list.size(), 2U);
  EXPECT_TRUE(list[0].is_null());
  const std::string id = std::to_string(prompt(0).at(1));
  EXPECT_EQ(list[1].at(id), Json({{"logprob", -0.5}, {"rank", 1}, {"decoded_token", "a"}}));
}

TEST_F(CompletionEndpointTest, TokenIdsWhenAsked) {
  const Json reply = answer(
      {{"prompt", "a"}, {"logprobs", 1}, {"return_tokens_as_token_ids", true}, {"return_token_ids", true}},
      {"x"});
  const int32_t token = setup.encode("x").front();
  EXPECT_EQ(reply["choices"][0]["logprobs"]["tokens"][0], "token_id:" + std::to_string(token));
  EXPECT_EQ(reply["choices"][0]["token_ids"], Json::array({token, kTurnClose}));
  EXPECT_EQ(reply["choices"][0]["prompt_token_ids"], Json(prompt(0)));
}

TEST_F(CompletionEndpointTest, WhenOnePromptFindsNoPlaceAllAreRefused) {
  setup.engine.places = 1;
  const auto responder = setup.post(kPath, {{"prompt", {"a", "b"}}}, {"x"});
  EXPECT_EQ(responder->response.status, 429);
  EXPECT_EQ(responder->json()["error"]["type"], "rate_limit_error");
  EXPECT_EQ(responder->header("Retry-After"), "5");
  EXPECT_THAT(setup.engine.cancelled, ElementsAre(1U));
  EXPECT_EQ(responder->last_words, 1);
}

TEST_F(CompletionEndpointTest, RefusesPromptsThatAreNone) {
  for (const char* prompt : {R"(7)", R"([])", R"([[]])", R"([[1, "a"]])", R"([1.5])", R"([-1])",
                             R"([99999999])", R"({"a": 1})", R"(["a", 7])", R"(null)"}) {
    const auto responder = setup.send("POST", kPath, std::string(R"({"prompt": )") + prompt + "}");
    EXPECT_EQ(responder->response.status, 400) << prompt;
    EXPECT_THAT(responder->json()["error"]["param"].get<std::string>(), testing::StartsWith("prompt"))
        << prompt;
  }
  EXPECT_THAT(setup.engine.submitted, IsEmpty());
}

TEST_F(CompletionEndpointTest, KeepsTheEndOfPromptsThatAreTruncated) {
  answer({{"prompt", {kBos, 10, 11, 12}}, {"truncate_prompt_tokens", 2}}, {"x"});
  EXPECT_THAT(prompt(0), ElementsAre(11, 12));
}

}  // namespace
}  // namespace beryl::server
