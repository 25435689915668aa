#include "server/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "server/api_for_tests.h"

namespace beryl::server {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ApiTest : public testing::Test {
 protected:
  // The error of a request that must be refused with `status`.
  Json error_of(const RecordingResponder& responder, int status) {
    EXPECT_EQ(responder.response.status, status) << responder.response.body;
    EXPECT_EQ(responder.last_words, 1);
    const Json json = responder.json();
    for (const char* field : {"message", "type", "param", "code"}) {
      EXPECT_TRUE(json.at("error").contains(field)) << field;
    }
    return json.at("error");
  }
  Json get(const std::string& path) {
    const auto responder = setup.send("GET", path);
    EXPECT_EQ(responder->response.status, 200) << path;
    return responder->json();
  }

  ApiForTests setup;
};

TEST_F(ApiTest, ListsModels) {
  const Json models = get("/v1/models");
  EXPECT_EQ(models["object"], "list");
  ASSERT_EQ(models["data"].size(), 2U);
  EXPECT_EQ(models["data"][0].dump(),
            R"({"id":"demo","object":"model","created":1700000000,"owned_by":"beryl","root":"demo",)"
            R"("parent":null,"max_model_len":200,"permission":[]})");
  EXPECT_EQ(models["data"][1]["id"], "other");
  EXPECT_EQ(get("/v1/models/other")["id"], "other");
  EXPECT_EQ(error_of(*setup.send("GET", "/v1/models/gpt"), 404)["type"], "not_found_error");
}

TEST_F(ApiTest, TellsHowItIs) {
  EXPECT_EQ(get("/health").dump(), R"({"status":"ok"})");
  EXPECT_EQ(get("/version")["version"], "1.2.3");
  setup.engine.figures.running = 2;
  setup.engine.figures.full_pages = 10;
  setup.engine.figures.finished[0] = 4;
  setup.engine.figures.requests = {{.id = 9, .is_running = true, .prompt_tokens = 5}};
  const Json status = get("/status");
  EXPECT_EQ(status["running"], 2);
  EXPECT_EQ(status["pages"]["full"]["total"], 10);
  EXPECT_EQ(status["finished"]["stop"], 4);
  EXPECT_EQ(status["finished"].size(), 5U);
  EXPECT_EQ(status["requests"][0]["state"], "running");
}

TEST_F(ApiTest, MetricsAreWhatItIsGiven) {
  error_of(*setup.send("GET", "/metrics"), 404);
  Api api(setup.model(), setup.engine,
          {.hooks = {.metrics_text = [] { return "beryl_up 1\n"; }}, .threads = 0});
  const auto responder = std::make_shared<RecordingResponder>();
  api.handle({.method = "GET", .path = "/metrics"}, responder);
  EXPECT_EQ(responder->response.body, "beryl_up 1\n");
  EXPECT_THAT(responder->response.content_type, HasSubstr("text/plain"));
}

TEST_F(ApiTest, Tokenizes) {
  Json reply = setup.post("/tokenize", {{"prompt", "One two"}})->json();
  EXPECT_EQ(reply["tokens"], Json(setup.encode("<bos>One two")));
  EXPECT_EQ(reply["count"], reply["tokens"].size());
  EXPECT_EQ(reply["max_model_len"], 200);
  reply = setup.post("/tokenize", {{"prompt", "One two"}, {"add_special_tokens", false}})->json();
  EXPECT_EQ(reply["tokens"], Json(setup.encode("One two")));
  reply = setup.post("/tokenize", {{"content", "One two"}, {"return_token_strs", true}})->json();
  EXPECT_EQ(reply["tokens"], Json(setup.encode("One two")));
  EXPECT_EQ(reply["token_strs"][0], "One");
  reply = setup.post("/tokenize", {{"messages", {{{"role", "user"}, {"content", "Hi"}}}}})->json();
  EXPECT_EQ(setup.decode(reply["tokens"].get<std::vector<int32_t>>()),
            "<bos><|turn>user\nHi<turn|>\n<|turn>model\n<|channel>thought\n<channel|>");
  EXPECT_EQ(error_of(*setup.post("/tokenize", Json::object()), 400)["param"], "prompt");
}

TEST_F(ApiTest, Detokenizes) {
  const Json body = {{"tokens", setup.encode("<bos>One two")}};
  EXPECT_EQ(setup.post("/detokenize", body)->json()["prompt"], "<bos>One two");
  EXPECT_EQ(error_of(*setup.post("/detokenize", {{"tokens", {1, -1}}}), 400)["param"], "tokens[1]");
}

TEST_F(ApiTest, AppliesTheTemplate) {
  const Json reply = setup
                         .post("/apply-template", {{"messages", {{{"role", "user"}, {"content", "Hi"}}}},
                                                   {"add_generation_prompt", false}})
                         ->json();
  EXPECT_EQ(reply["prompt"], "<bos><|turn>user\nHi<turn|>\n");
}

// The fields that lm-evaluation-harness reads.
TEST_F(ApiTest, DescribesTheTokenizer) {
  const Json info = get("/tokenizer_info");
  EXPECT_EQ(info["bos_token"], "<bos>");
  EXPECT_EQ(info["eos_token"], "<eos>");
  EXPECT_EQ(info["pad_token"], "<pad>");
  EXPECT_EQ(info["chat_template"], "source");
}

// ---- What it refuses ----

TEST_F(ApiTest, KnowsItsPathsAndMethods) {
  EXPECT_EQ(error_of(*setup.send("GET", "/v1/nothing"), 404)["type"], "not_found_error");
  const auto responder = setup.send("GET", "/v1/completions");
  error_of(*responder, 405);
  EXPECT_EQ(responder->header("Allow"), "POST");
}

TEST_F(ApiTest, RefusesBodiesThatAreNoObject) {
  for (const char* body : {"", "{", "[]", "7", "null", R"({"a": 1, "a": 2})", "{\"a\": \"\xff\"}"}) {
    EXPECT_EQ(error_of(*setup.send("POST", "/v1/completions", body), 400)["type"], "invalid_request_error");
  }
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "[";
  error_of(*setup.send("POST", "/v1/chat/completions", deep), 400);
}

TEST_F(ApiTest, RefusesModelsThatItDoesNotServe) {
  const Json body = {{"model", "gpt-4"}, {"prompt", "a"}};
  const Json error = error_of(*setup.post("/v1/completions", body), 404);
  EXPECT_EQ(error["param"], "model");
  EXPECT_THAT(error["message"].get<std::string>(), AllOf(HasSubstr("gpt-4"), HasSubstr("demo, other")));
  ApiModel lenient = setup.model();
  lenient.answers_any_name = true;
  Api api(std::move(lenient), setup.engine, {.threads = 0});
  const auto responder = std::make_shared<RecordingResponder>();
  api.handle({.method = "POST", .path = "/v1/completions", .body = body.dump()}, responder);
  EXPECT_EQ(setup.engine.submitted.size(), 1U);
}

TEST_F(ApiTest, SaysWhichFieldIsWrong) {
  const Json body = {
      {"messages", {{{"role", "user"}, {"content", "Hi"}}, {{"role", "cat"}, {"content", "Hi"}}}}};
  const Json error = error_of(*setup.post("/v1/chat/completions", body), 400);
  EXPECT_EQ(error["param"], "messages[1].role");
  EXPECT_EQ(error["type"], "invalid_request_error");
}

TEST_F(ApiTest, WarnsOnceOfFieldsThatItDoesNotKnow) {
  const Json body = {{"prompt", "a"}, {"mirostat", 2}, {"user", "x"}, {"wishes", nullptr}};
  setup.post("/v1/completions", body, {"x"});
  setup.post("/v1/completions", body, {"x"});
  EXPECT_THAT(setup.warnings, ElementsAre(HasSubstr("mirostat"), HasSubstr("wishes")));
}

TEST_F(ApiTest, AFullQueueIsRefusedBeforeReading) {
  setup.engine.full = true;
  setup.engine.figures.waiting = 40;
  const auto responder = setup.send("POST", "/v1/completions", "no JSON at all");
  EXPECT_EQ(error_of(*responder, 429)["type"], "rate_limit_error");
  EXPECT_EQ(responder->header("Retry-After"), "5");
  EXPECT_EQ(get("/health")["status"], "ok");
}

TEST_F(ApiTest, WhileDrainingItTakesNothing) {
  setup.api.begin_drain();
  const auto responder = setup.post("/v1/completions", {{"prompt", "a"}});
  EXPECT_EQ(error_of(*responder, 503)["type"], "unavailable_error");
  EXPECT_EQ(responder->header("Retry-After"), "1");
  EXPECT_EQ(setup.send("GET", "/health")->response.status, 503);
  EXPECT_THAT(setup.engine.submitted, IsEmpty());
}

TEST_F(ApiTest, CallersShareTheCacheUnlessTheyAreToldApart) {
  const std::string body = R"({"prompt": "a"})";
  setup.send("POST", "/v1/completions", body, "one");
  EXPECT_EQ(setup.engine.submitted.back().request.cache_salt, "");
  setup.send("POST", "/v1/completions", R"({"prompt": "a", "cache_salt": "s"})", "one");
  EXPECT_EQ(setup.engine.submitted.back().request.cache_salt, "0:s");
  Api api(setup.model(), setup.engine, {.salts_by_client = true, .threads = 0});
  api.handle({.method = "POST", .path = "/v1/completions", .body = body, .client = "one"},
             std::make_shared<RecordingResponder>());
  EXPECT_EQ(setup.engine.submitted.back().request.cache_salt, "3:one");
}

TEST_F(ApiTest, ReadsOnThreadsOfItsOwn) {
  auto responder = std::make_shared<RecordingResponder>();
  {
    Api api(setup.model(), setup.engine, {.threads = 2});
    api.handle({.method = "POST", .path = "/tokenize", .body = R"({"prompt": "a"})"}, responder);
  }
  EXPECT_EQ(responder->response.status, 200);
}

}  // namespace
}  // namespace beryl::server
