#include "server/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "server/http_client_for_tests.h"
#include "server/http_server_for_tests.h"

namespace beryl::server {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(HttpServer, AnswersOneRequestAfterAnother) {
  HttpServer server(options_for_tests(), echo_handler());
  HttpClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.request("POST", "/a?b", "", "hello"));
    const auto response = client.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "POST /a?b hello");
    EXPECT_EQ(response->header("Content-Type"), "text/plain");
  }
  EXPECT_THAT(server.url(), StartsWith("http://127.0.0.1:"));
  EXPECT_EQ(server.figures().connections_accepted, 1U);
}

TEST(HttpServer, KeepsTheOrderOfPipelinedRequests) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  HttpClient client(server.port());
  std::string all;
  for (int i = 0; i < 5; ++i) all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_TRUE(client.send(all));
  for (int i = 0; i < 5; ++i) {
    auto [request, responder] = held.take();
    ASSERT_TRUE(responder);
    EXPECT_EQ(request.path, "/" + std::to_string(i));
    answer_with_echo(request, *responder);
    const auto response = client.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "GET /" + std::to_string(i) + "? ");
  }
}

// More than is read ahead: reading pauses, and goes on where it stopped.
TEST(HttpServer, AnswersManyPipelinedRequests) {
  HttpServerOptions options = options_for_tests();
  options.limits.requests_per_connection_max = 10'000;
  HttpServer server(std::move(options), echo_handler());
  HttpClient client(server.port());
  constexpr int kCount = 3000;
  std::thread sender([&] {
    for (int i = 0; i < kCount; ++i)
      client.request("GET", "/" + std::to_string(i), "X: " + std::string(60, 'a') + "\r\n");
  });
  int in_order = 0;
  for (int i = 0; i < kCount; ++i) {
    const auto response = client.receive();
    if (!response || response->body != "GET /" + std::to_string(i) + "? ") break;
    ++in_order;
  }
  sender.join();
  EXPECT_EQ(in_order, kCount);
}

TEST(HttpServer, StreamsInChunks) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  auto responder = held.take().responder;
  ASSERT_TRUE(responder);
  responder->begin_stream({.content_type = "text/event-stream", .headers = {{"Cache-Control", "no-cache"}}});
  const std::string head = client.receive_bytes(40);
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(head, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(head, HasSubstr("Cache-Control: no-cache\r\n"));
  responder->write("data: 1\n\n");
  EXPECT_EQ(client.receive_bytes(14), "9\r\ndata: 1\n\n\r\n");
  responder->write("");  // not the end
  responder->write(std::string(300, 'x'));
  EXPECT_EQ(client.receive_bytes(307), "12c\r\n" + std::string(300, 'x') + "\r\n");
  responder->finish();
  EXPECT_EQ(client.receive_bytes(5), "0\r\n\r\n");
  ASSERT_TRUE(client.request("GET", "/again"));  // the connection goes on
  EXPECT_EQ(held.take().request.path, "/again");
  EXPECT_EQ(held.gone(), 0);
}

TEST(HttpServer, StreamsToHttp10UntilTheEnd) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  auto responder = held.take().responder;
  responder->begin_stream({.content_type = "text/event-stream"});
  responder->write("data: 1\n\n");
  responder->write("data: 2\n\n");
  responder->finish();
  const std::string all = client.receive_all();
  EXPECT_THAT(all, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(all.find("chunked"), std::string::npos);
  EXPECT_TRUE(all.ends_with("\r\n\r\ndata: 1\n\ndata: 2\n\n")) << all;
}

TEST(HttpServer, SendsNoBodyAfterHead) {
  HttpServer server(options_for_tests(), echo_handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("HEAD", "/a"));
  const auto response = client.receive(true);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->header("Content-Length"), std::to_string(std::string("GET /a? ").size()));
  ASSERT_TRUE(client.request("GET", "/b"));
  EXPECT_EQ(client.receive()->body, "GET /b? ");
}

TEST(HttpServer, AsksForTheBodyThatWasAnnounced) {
  HttpServer server(options_for_tests(), echo_handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("POST", "/", "Expect: 100-continue\r\nContent-Length: 2\r\n"));
  EXPECT_EQ(client.receive_bytes(25), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(client.send("ab"));
  EXPECT_EQ(client.receive()->body, "POST /? ab");
}

TEST(HttpServer, GivesRequestsAnId) {
  HttpServer server(options_for_tests(), echo_handler());
  HttpClient client(server.port());
  const auto id_for = [&](const std::string& headers) {
    client.request("GET", "/", headers);
    return client.receive()->header("x-request-id");
  };
  EXPECT_EQ(id_for("X-Request-Id: abc-1_2.3:4\r\n"), "abc-1_2.3:4");
  EXPECT_EQ(id_for("X-Request-Id: " + std::string(128, 'a') + "\r\n"), std::string(128, 'a'));
  EXPECT_THAT(id_for("X-Request-Id: " + std::string(129, 'a') + "\r\n"), StartsWith("req-"));
  EXPECT_THAT(id_for("X-Request-Id: a b\r\n"), StartsWith("req-"));
  EXPECT_NE(id_for(""), id_for(""));
}

TEST(HttpServer, EndsAConnectionAfterItsLastRequest) {
  HttpServerOptions options = options_for_tests();
  options.limits.requests_per_connection_max = 3;
  HttpServer server(std::move(options), echo_handler());
  HttpClient client(server.port());
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(client.request("GET", "/"));
    EXPECT_EQ(client.receive()->header("Connection"), i == 3 ? "close" : "");
  }
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpServer, AnswersForAProtocolThatLetsGo) {
  HttpServer server(options_for_tests(), [](const HttpRequest&, const std::shared_ptr<HttpResponder>&) {});
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  EXPECT_EQ(client.receive()->status, 500);

  HttpServer throwing(options_for_tests(), [](const HttpRequest&, const std::shared_ptr<HttpResponder>&) {
    throw Error(ErrorCode::kInvalidInput, "no");
  });
  HttpClient second(throwing.port());
  ASSERT_TRUE(second.request("GET", "/"));
  EXPECT_EQ(second.receive()->status, 500);
}

TEST(HttpServer, CutsAStreamThatTheProtocolLetsGo) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  auto responder = held.take().responder;
  responder->begin_stream({});
  responder->write("half");
  responder.reset();
  EXPECT_FALSE(client.receive());  // the end of the chunks never comes
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpServer, IgnoresAnswersOutOfOrder) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  auto responder = held.take().responder;
  responder->write("before the stream");
  responder->finish();
  responder->send({.body = "one"});
  responder->send({.body = "two"});
  responder->begin_stream({});
  responder->write("three");
  EXPECT_EQ(client.receive()->body, "one");
  ASSERT_TRUE(client.request("GET", "/next"));
  held.take().responder->send({.body = "four"});
  EXPECT_EQ(client.receive()->body, "four");
}

TEST(HttpServer, SplitsNoResponseAtALineEndInAHeader) {
  HttpServer server(options_for_tests(),
                    [](const HttpRequest&, const std::shared_ptr<HttpResponder>& responder) {
                      responder->send({.body = "{}", .headers = {{"X-Echo", "a\r\nSet-Cookie: b"}}});
                    });
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  const auto response = client.receive();
  EXPECT_EQ(response->header("X-Echo"), "a  Set-Cookie: b");
  EXPECT_EQ(response->header("Set-Cookie"), "");
}

TEST(HttpServer, RecordsRequestsWithoutSecrets) {
  Records records;
  HttpServerOptions options = options_for_tests();
  options.gate.keys.add("secret-key", "alice");
  options.on_record = records.sink();
  HeldRequests held;
  HttpServer server(std::move(options), held.handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("POST", "/v1/x?api_key=secret-key",
                             "Authorization: Bearer secret-key\r\nX-Request-Id: r1\r\n", "the prompt"));
  auto [request, responder] = held.take();
  EXPECT_EQ(request.header("authorization"), "");
  EXPECT_EQ(request.client, "alice");
  responder->note("prompt_tokens", "12");
  responder->send({.status = 202, .body = "12345"});
  ASSERT_EQ(client.receive()->status, 202);
  const HttpRecord record = records.wait_for(1).at(0);
  EXPECT_EQ(record.id, "r1");
  EXPECT_EQ(record.client, "alice");
  EXPECT_EQ(record.method, "POST");
  EXPECT_EQ(record.path, "/v1/x");
  EXPECT_EQ(record.status, 202);
  EXPECT_EQ(record.bytes, 5U);
  EXPECT_TRUE(record.is_whole);
  EXPECT_EQ(record.notes, (HttpNotes{{"prompt_tokens", "12"}}));
}

TEST(HttpServer, AsksForAKeyBeforeTheBody) {
  HttpServerOptions options = options_for_tests();
  options.gate.keys.add("secret-key");
  HttpServer server(std::move(options), echo_handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("POST", "/", "Content-Length: 1000000\r\nExpect: 100-continue\r\n"));
  const auto response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 401);
  EXPECT_EQ(response->header("WWW-Authenticate"), "Bearer");
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpServer, SaysThatAnAddressIsInUse) {
  HttpServer first(options_for_tests(), echo_handler());
  HttpServerOptions options = options_for_tests();
  options.port = first.port();
  try {
    HttpServer second(std::move(options), echo_handler());
    FAIL() << "two servers on one port";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_THAT(error.message(), HasSubstr("cannot listen on 127.0.0.1:" + std::to_string(first.port())));
    EXPECT_THAT(error.help(), HasSubstr("--port"));
  }
}

TEST(HttpServer, KnowsWhichAddressesAreLoopback) {
  EXPECT_TRUE(is_loopback_host("127.0.0.1"));
  EXPECT_TRUE(is_loopback_host("::1"));
  EXPECT_TRUE(is_loopback_host("localhost"));
  EXPECT_FALSE(is_loopback_host("0.0.0.0"));
  EXPECT_FALSE(is_loopback_host("::"));
  EXPECT_THROW(is_loopback_host("no such host"), Error);
}

}  // namespace
}  // namespace beryl::server
