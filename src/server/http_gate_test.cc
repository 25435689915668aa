#include "server/http_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace beryl::server {
namespace {

using Headers = std::map<std::string, std::string>;

HttpHead head(const std::string& path, Headers headers = {}, const std::string& method = "POST") {
  headers.try_emplace("host", "localhost:8000");
  return {.method = method, .path = path, .headers = std::move(headers)};
}

// 200: it goes on to the protocol.
int status(const HttpGate& gate, const HttpHead& head) {
  const auto verdict = gate.check(head);
  return verdict.answer ? verdict.answer->status : 200;
}

std::string header_of(const HttpResponse& response, const std::string& name) {
  for (const auto& [header, value] : response.headers) {
    if (header == name) return value;
  }
  return "";
}

HttpGateOptions with_keys() {
  HttpGateOptions options;
  options.keys.add("first-key");
  options.keys.add("second-key", "bob");
  return options;
}

TEST(HttpGate, LetsEverybodyInWithoutKeys) {
  const HttpGate gate({});
  EXPECT_EQ(status(gate, head("/v1/chat/completions")), 200);
  EXPECT_EQ(status(gate, head("/v1/models", {{"authorization", "Bearer "}})), 200);
  EXPECT_EQ(status(gate, head("/v1/models", {{"authorization", "Bearer any"}})), 200);
}

TEST(HttpGate, AsksForOneOfTheKeys) {
  const HttpGate gate(with_keys());
  const auto with = [](const std::string& name, const std::string& value) {
    return head("/v1/models", {{name, value}});
  };
  EXPECT_EQ(status(gate, with("authorization", "Bearer first-key")), 200);
  EXPECT_EQ(status(gate, with("authorization", "bearer second-key")), 200);
  EXPECT_EQ(status(gate, with("authorization", "BEARER   second-key")), 200);
  EXPECT_EQ(status(gate, with("x-api-key", "first-key")), 200);
  EXPECT_EQ(status(gate, with("authorization", "Bearer third-key")), 401);
  EXPECT_EQ(status(gate, with("authorization", "Bearer first-ke")), 401);
  EXPECT_EQ(status(gate, with("authorization", "Bearer first-keyy")), 401);
  EXPECT_EQ(status(gate, with("authorization", "Bearer ")), 401);
  EXPECT_EQ(status(gate, with("authorization", "first-key")), 401);
  EXPECT_EQ(status(gate, with("authorization", "Basic first-key")), 401);
  EXPECT_EQ(status(gate, head("/v1/models")), 401);
}

TEST(HttpGate, ClosesEveryPathThatIsNotOpenedByName) {
  const HttpGate gate(with_keys());
  for (const std::string path : {"/health", "/ready", "/version"})
    EXPECT_EQ(status(gate, head(path)), 200) << path;
  for (const std::string path : {"/", "/v1/models", "/tokenize", "/metrics", "/status", "/new", "/health/",
                                 "/Health", "//health", "/health/../metrics", "/%68ealth"}) {
    EXPECT_EQ(status(gate, head(path)), 401) << path;
  }
  HttpGateOptions open = with_keys();
  open.metrics_need_no_key = true;
  EXPECT_EQ(status(HttpGate(open), head("/metrics")), 200);
  EXPECT_EQ(status(HttpGate(open), head("/status")), 401);
}

TEST(HttpGate, SaysTheSameOfAWrongKeyAndOfNone) {
  const HttpGate gate(with_keys());
  const auto none = gate.check(head("/v1/models"));
  const auto wrong = gate.check(head("/v1/models", {{"authorization", "Bearer first-kex"}}));
  ASSERT_TRUE(none.answer && wrong.answer);
  EXPECT_EQ(none.answer->body, wrong.answer->body);
  EXPECT_EQ(none.answer->headers, wrong.answer->headers);
  EXPECT_EQ(header_of(*none.answer, "WWW-Authenticate"), "Bearer");
}

TEST(HttpGate, NamesTheCallerByTheKeysLabel) {
  const HttpGate gate(with_keys());
  EXPECT_EQ(gate.check(head("/", {{"x-api-key", "first-key"}})).caller, "key 1");
  EXPECT_EQ(gate.check(head("/", {{"x-api-key", "second-key"}})).caller, "bob");
  EXPECT_EQ(gate.check(head("/health")).caller, "");
}

TEST(HttpGate, RefusesOtherPeoplesPagesWithoutKeys) {
  const HttpGate gate({});
  const auto from = [](const std::string& origin) { return head("/v1/models", {{"origin", origin}}); };
  EXPECT_EQ(status(gate, from("https://evil.example")), 403);
  EXPECT_EQ(status(gate, from("null")), 403);
  EXPECT_EQ(status(gate, from("http://localhost:9999")), 403);
  EXPECT_EQ(status(gate, from("http://localhost:8000")), 200);  // a page of this server
  EXPECT_TRUE(gate.cors_headers(from("https://evil.example")).empty());
}

TEST(HttpGate, RefusesOtherNamesForThisMachineWithoutKeys) {
  const auto to = [](const std::string& host) { return head("/v1/models", {{"host", host}}); };
  const HttpGate gate({});
  for (const std::string host :
       {"localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "[::1]", "a.localhost", ""}) {
    EXPECT_EQ(status(gate, to(host)), 200) << host;
  }
  // A name of the attacker's that was made to point here.
  for (const std::string host : {"evil.example", "evil.example:8000", "127.0.0.1.evil.example",
                                 "localhost.evil.example", "192.168.1.2"}) {
    EXPECT_EQ(status(gate, to(host)), 403) << host;
  }
  EXPECT_EQ(status(HttpGate({.hosts = {"llm.example"}}), to("LLM.example:8000")), 200);
  EXPECT_EQ(status(HttpGate({.accepts_any_host = true}), to("evil.example")), 200);
  HttpGateOptions keyed = with_keys();
  EXPECT_EQ(
      status(HttpGate(keyed), head("/v1/models", {{"host", "evil.example"}, {"x-api-key", "first-key"}})),
      200);
}

TEST(HttpGate, LetsListedPagesCall) {
  HttpGateOptions options = with_keys();
  options.cors_origins = {"https://chat.example"};
  const HttpGate gate(options);
  const HttpHead preflight = head("/v1/chat/completions",
                                  {{"origin", "https://chat.example"},
                                   {"access-control-request-method", "POST"},
                                   {"access-control-request-headers", "authorization,x-stainless-os"}},
                                  "OPTIONS");
  const auto verdict = gate.check(preflight);  // comes without the key
  ASSERT_TRUE(verdict.answer);
  EXPECT_EQ(verdict.answer->status, 204);
  EXPECT_EQ(header_of(*verdict.answer, "Access-Control-Allow-Headers"), "authorization,x-stainless-os");
  EXPECT_THAT(header_of(*verdict.answer, "Access-Control-Allow-Methods"), ::testing::HasSubstr("POST"));
  using Pair = std::pair<std::string, std::string>;
  EXPECT_THAT(gate.cors_headers(preflight),
              ::testing::Contains(Pair("Access-Control-Allow-Origin", "https://chat.example")));
  EXPECT_TRUE(gate.cors_headers(head("/", {{"origin", "https://other.example"}})).empty());
  EXPECT_TRUE(gate.cors_headers(head("/")).empty());
  EXPECT_EQ(status(gate, head("/", {{"origin", "https://chat.example"}})), 401);  // it still needs the key
}

TEST(HttpGate, LetsAllPagesCallWithAStar) {
  const HttpGate gate({.cors_origins = {"*"}});
  EXPECT_EQ(status(gate, head("/", {{"origin", "https://any.example"}})), 200);
}

TEST(HttpGate, AnswersOptionsAndRefusesWhatNobodyKnows) {
  const HttpGate gate({});
  const auto options = gate.check(head("*", {}, "OPTIONS"));
  ASSERT_TRUE(options.answer);
  EXPECT_EQ(options.answer->status, 204);
  EXPECT_EQ(header_of(*options.answer, "Access-Control-Allow-Methods"), "");
  EXPECT_EQ(status(gate, head("/", {}, "TRACE")), 501);
  EXPECT_EQ(status(gate, head("/", {}, "get")), 501);
  EXPECT_EQ(status(gate, head("/", {{"content-encoding", "gzip"}})), 415);
}

}  // namespace
}  // namespace beryl::server
