// The protocol over the real engine with its thread. The model's answers are a hash of all tokens before, so
// they are mostly nonsense, which must never be a failure, and any mistake in sharing work changes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/fake_runner_for_tests.h"
#include "server/live_api_for_tests.h"

namespace beryl::server {
namespace {

using namespace std::chrono_literals;

// Of a whole answer or of the events of a stream: only what the model said, by the index of the choice.
std::map<int, std::vector<Json>> choices_of(const std::string& body) {
  std::map<int, std::vector<Json>> choices;
  const auto add = [&](const std::string& text) {
    const Json json = Json::parse(text);
    EXPECT_TRUE(json.contains("choices")) << text;
    for (Json choice : json.value("choices", Json::array())) {
      for (const char* place : {"delta", "message"}) {
        if (choice.contains(place)) choice[place].erase("tool_calls");  // their ids are drawn
      }
      choices[choice.at("index").get<int>()].push_back(std::move(choice));
    }
  };
  if (!body.starts_with("data: ")) {
    add(body);
    return choices;
  }
  EXPECT_TRUE(body.ends_with("data: [DONE]\n\n"));
  for (size_t begin = 0; begin + 14 < body.size();) {
    const size_t end = body.find("\n\n", begin);
    add(body.substr(begin + 6, end - begin - 6));
    begin = end + 2;
  }
  return choices;
}

struct Request {
  std::string path, body;
};

class ApiEngineTest : public testing::Test, protected LiveApiForTests {
 protected:
  // Chats and texts, greedy and sampled, streams and not, some of which begin alike.
  std::vector<Request> make_requests(size_t count, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<Request> requests;
    for (size_t i = 0; i < count; ++i) {
      std::string text = i % 3 == 0 ? "There are some boxes and some apples." : "";
      for (uint32_t words = random() % 12; words > 0; --words) text += " " + std::to_string(random() % 100);
      Json body = {
          {"temperature", i % 2}, {"seed", i}, {"max_tokens", 1 + random() % 24}, {"stream", i % 4 < 2}};
      if (i % 5 == 0) body["stop"] = {"a", "1"};
      if (i % 2 == 0) {
        body["messages"] = {{{"role", "user"}, {"content", text}}};
        if (i % 6 == 0) body["logprobs"] = true;
        requests.push_back({"/v1/chat/completions", body.dump()});
      } else {
        body["prompt"] = text;
        body["n"] = 1 + i % 3;
        if (i % 7 == 0) body["echo"] = true;
        if (i % 7 < 3) body["logprobs"] = 2;
        requests.push_back({"/v1/completions", body.dump()});
      }
    }
    return requests;
  }

  std::shared_ptr<WaitingResponder> send(const Request& request) {
    auto responder = std::make_shared<WaitingResponder>();
    api.handle({.method = "POST", .path = request.path, .body = request.body, .id = "7"}, responder);
    return responder;
  }

  void expect_nothing_left() {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    engine::EngineStats stats = engine.stats();
    while ((stats.running != 0 || stats.waiting != 0) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(1ms);
      stats = engine.stats();
    }
    EXPECT_EQ(stats.running, 0);
    EXPECT_EQ(stats.waiting, 0);
    EXPECT_EQ(stats.full_pages_used, stats.prefix_full_pages);
    EXPECT_EQ(stats.sliding_pages_used, stats.prefix_sliding_pages);
  }
};

TEST_F(ApiEngineTest, AnswersAtOnceEqualAnswersAlone) {
  const std::vector<Request> requests = make_requests(48, 1);
  std::vector<std::shared_ptr<WaitingResponder>> responders;
  for (const Request& request : requests) responders.push_back(send(request));
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto together = choices_of(responders[i]->wait());
    EXPECT_EQ(responders[i]->status(), 200);
    EXPECT_EQ(together, choices_of(send(requests[i])->wait())) << requests[i].body;
  }
  expect_nothing_left();
}

TEST_F(ApiEngineTest, ClientsThatGoAwayLeaveNothingBehind) {
  std::mt19937 random(3);
  for (const Request& request : make_requests(150, 2)) {
    const auto responder = send(request);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3'000));
    responder->lose();
  }
  expect_nothing_left();
  const auto last = send(make_requests(1, 4).front());
  last->wait();
  EXPECT_EQ(last->status(), 200);
}

TEST_F(ApiEngineTest, WhatCanNeverFitIsRefused) {
  const auto responder = send({"/v1/completions", R"({"prompt": "a", "max_tokens": 1000})"});
  EXPECT_EQ(Json::parse(responder->wait())["error"]["code"], "context_length_exceeded");
  EXPECT_EQ(responder->status(), 400);
}

TEST_F(ApiEngineTest, TheEndOfTheEngineEndsAnswers) {
  auto runner_alone = std::make_unique<engine::FakeRunner>(engine::FakeShape{
      .vocabulary_size = setup.tokenizer.vocabulary_size(), .sliding_pages = 200, .full_pages = 400});
  auto ending = std::make_unique<engine::Engine>(*runner_alone, engine.options());
  LiveEngine ending_port(*ending);
  Api ending_api(setup.model(), ending_port, {.threads = 0});
  std::vector<std::shared_ptr<WaitingResponder>> responders;
  for (int i = 0; i < 20; ++i) {
    responders.push_back(std::make_shared<WaitingResponder>());
    ending_api.handle({.method = "POST",
                       .path = "/v1/completions",
                       .body = R"({"prompt": "a", "max_tokens": 150, "ignore_eos": true})",
                       .id = "7"},
                      responders.back());
  }
  ending.reset();
  for (const auto& responder : responders) {
    responder->wait();
    EXPECT_THAT(responder->status(), testing::AnyOf(200, 503));
  }
}

}  // namespace
}  // namespace beryl::server
