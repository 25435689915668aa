// Clients that go away, stall or read slowly; limits on time and number; the end of the server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "server/http_client_for_tests.h"
#include "server/http_server.h"
#include "server/http_server_for_tests.h"

namespace beryl::server {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

TEST(HttpGone, IsNoticedWhileNothingIsWritten) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  HttpClient closes(server.port());
  HttpClient resets(server.port());
  HttpClient half_closes(server.port());
  std::vector<std::shared_ptr<HttpResponder>> responders;
  for (HttpClient* client : {&closes, &resets, &half_closes}) {
    ASSERT_TRUE(client->request("POST", "/", "", "body"));
    responders.push_back(held.take().responder);
    ASSERT_TRUE(responders.back());
  }
  EXPECT_EQ(held.gone(), 0);
  closes.close();
  EXPECT_TRUE(held.wait_for_gone(1));
  resets.reset();
  EXPECT_TRUE(held.wait_for_gone(2));
  half_closes.end_sending();
  EXPECT_TRUE(held.wait_for_gone(3));
}

TEST(HttpGone, IsNoticedDuringAStream) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  auto responder = held.take().responder;
  responder->begin_stream({});
  responder->write("one");
  client.receive_bytes(100);
  client.close();
  EXPECT_TRUE(held.wait_for_gone(1));
  responder->write("two");  // does nothing
  responder->finish();
  bool was_told = false;
  responder->on_gone([&] { was_told = true; });
  EXPECT_TRUE(was_told);  // at once
}

TEST(HttpGone, AnswersAClientThatEndsItsDirectionWhenTheAnswerIsThere) {
  HttpServer server(options_for_tests(), echo_handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  client.end_sending();
  const auto response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "GET /? ");
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpGone, IsNotToldAfterAWholeAnswer) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  {
    HttpClient client(server.port());
    ASSERT_TRUE(client.request("GET", "/"));
    held.take().responder->send({.body = "{}"});
    ASSERT_TRUE(client.receive());
  }
  EXPECT_TRUE(eventually([&] { return server.figures().connections_open == 0; }));
  EXPECT_EQ(held.gone(), 0);
}

TEST(HttpGone, CutsAStreamThatIsNotRead) {
  Records records;
  HttpServerOptions options = options_for_tests();
  options.on_record = records.sink();
  HeldRequests held;
  HttpServer server(std::move(options), held.handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  auto responder = held.take().responder;
  responder->begin_stream({});
  const std::string piece(1000, 'x');
  int pieces = 0;
  for (; held.gone() == 0 && pieces < 100'000; ++pieces) {
    responder->write(piece);
    if (pieces % 100 == 0) std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(held.gone(), 1);
  EXPECT_LT(pieces, 100'000);
  EXPECT_FALSE(records.wait_for(1).at(0).is_whole);
}

TEST(HttpGone, CutsAClientThatTakesNothingForLong) {
  HttpServerOptions options = options_for_tests();
  options.limits.write_stall_max = milliseconds(200);
  HeldRequests held;
  HttpServer server(std::move(options), held.handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  // No stream: it may be as long as it wants, but has to be read.
  held.take().responder->send({.body = std::string(32 << 20, 'x')});
  EXPECT_TRUE(eventually([&] { return server.figures().connections_open == 0; }));
}

TEST(HttpGone, SendsLongAnswersToClientsThatRead) {
  HttpServer server(options_for_tests(),
                    [](const HttpRequest&, const std::shared_ptr<HttpResponder>& responder) {
                      responder->send({.body = std::string(32 << 20, 'x')});
                    });
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  const auto response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body.size(), 32U << 20);
}

// One deadline for a whole head, whatever comes now and then.
TEST(HttpDeadline, EndsSlowHeads) {
  HttpServerOptions options = options_for_tests();
  options.limits.header_time_max = milliseconds(300);
  HttpServer server(std::move(options), echo_handler());
  HttpClient silent(server.port());
  HttpClient slow(server.port());
  const auto start = Clock::now();
  ASSERT_TRUE(slow.send("GET / HTTP/1.1\r\nX: "));
  while (Clock::now() - start < milliseconds(280)) {
    slow.send("a");
    std::this_thread::sleep_for(milliseconds(20));
  }
  const auto response = slow.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 408);
  EXPECT_TRUE(slow.is_closed());
  EXPECT_TRUE(silent.is_closed());
  EXPECT_LT(Clock::now() - start, milliseconds(5000));
}

TEST(HttpDeadline, EndsSlowBodies) {
  HttpServerOptions options = options_for_tests();
  options.limits.body_rate_grace = milliseconds(100);
  options.limits.body_time_max = milliseconds(600);
  options.limits.body_bytes_per_second_min = 1000;
  HttpServer server(std::move(options), echo_handler());
  HttpClient stalled(server.port());
  HttpClient steady(server.port());
  const auto start = Clock::now();
  ASSERT_TRUE(stalled.request("POST", "/", "Content-Length: 100000\r\n"));
  ASSERT_TRUE(steady.request("POST", "/", "Content-Length: 100000\r\n"));
  std::thread sender([&] {
    while (Clock::now() - start < milliseconds(500)) {
      steady.send(std::string(200, 'a'));
      std::this_thread::sleep_for(milliseconds(10));
    }
  });
  const auto response = stalled.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 408);
  const auto stalled_after = Clock::now() - start;
  EXPECT_LT(stalled_after, milliseconds(550));
  sender.join();
  // Fast enough, but not done in time.
  EXPECT_EQ(steady.receive()->status, 408);
  EXPECT_GE(Clock::now() - start, milliseconds(550));
}

TEST(HttpDeadline, EndsIdleConnections) {
  HttpServerOptions options = options_for_tests();
  options.limits.idle_time_max = milliseconds(100);
  HttpServer server(std::move(options), echo_handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  ASSERT_TRUE(client.receive());
  EXPECT_EQ(client.receive_all(), "");
}

TEST(HttpLimit, RefusesConnectionsBeyondTheLimit) {
  HttpServerOptions options = options_for_tests();
  options.limits.connections_max = 3;
  HeldRequests held;
  HttpServer server(std::move(options), held.handler());
  std::vector<HttpClient> clients;
  std::vector<std::shared_ptr<HttpResponder>> responders;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(server.port());
    ASSERT_TRUE(clients.back().request("GET", "/"));
    responders.push_back(held.take().responder);
    ASSERT_TRUE(responders.back());
  }
  HttpClient fourth(server.port());
  const auto response = fourth.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 503);
  EXPECT_EQ(response->header("Retry-After"), "1");
  EXPECT_TRUE(fourth.is_closed());
  EXPECT_EQ(server.figures().connections_refused, 1U);
  clients.front().close();
  ASSERT_TRUE(eventually([&] { return server.figures().connections_open == 2; }));
  HttpClient fifth(server.port());
  ASSERT_TRUE(fifth.request("GET", "/"));
  EXPECT_TRUE(held.take().responder);
}

TEST(HttpLimit, ClosesAnIdleConnectionForANewOne) {
  HttpServerOptions options = options_for_tests();
  options.limits.connections_max = 3;
  HttpServer server(std::move(options), echo_handler());
  HttpClient first(server.port());
  ASSERT_TRUE(first.request("GET", "/"));
  ASSERT_TRUE(first.receive());
  const auto idle = [&](uint64_t count) {
    return eventually([&] { return server.figures().connections_idle == count; });
  };
  ASSERT_TRUE(idle(1));
  HttpClient begun(server.port());
  ASSERT_TRUE(idle(2));
  ASSERT_TRUE(begun.send("GET"));
  ASSERT_TRUE(idle(1));
  HttpClient third(server.port());
  ASSERT_TRUE(third.request("GET", "/"));
  ASSERT_TRUE(third.receive());
  ASSERT_TRUE(idle(2));
  HttpClient fourth(server.port());
  ASSERT_TRUE(fourth.request("GET", "/fourth"));
  EXPECT_EQ(fourth.receive()->body, "GET /fourth? ");
  EXPECT_TRUE(first.is_closed());
  ASSERT_TRUE(begun.send(" / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(begun.receive()->status, 200);
}

TEST(HttpLimit, CountsBodiesOfAllConnections) {
  HttpServerOptions options = options_for_tests();
  options.limits.all_bodies_bytes_max = 2000;
  HeldRequests held;
  HttpServer server(std::move(options), held.handler());
  HttpClient first(server.port());
  ASSERT_TRUE(first.request("POST", "/", "", std::string(1500, 'a')));
  auto responder = held.take().responder;
  HttpClient second(server.port());
  ASSERT_TRUE(second.request("POST", "/", "", std::string(501, 'a')));
  EXPECT_EQ(second.receive()->status, 503);
  HttpClient third(server.port());
  ASSERT_TRUE(third.request("POST", "/", "", std::string(500, 'a')));
  const auto third_responder = held.take().responder;
  ASSERT_TRUE(third_responder);
  responder->send({});
  ASSERT_TRUE(first.receive());
  third.close();
  ASSERT_TRUE(held.wait_for_gone(1));
  ASSERT_TRUE(first.request("POST", "/", "", std::string(2000, 'a')));
  EXPECT_TRUE(held.take().responder);  // all is free again
}

// The whole number of connections at once: idle ones, then stalled half-requests.
TEST(HttpLimit, StaysQuickAmongManyConnections) {
  const size_t before = open_descriptor_count();
  HttpServer server(options_for_tests(), echo_handler());
  const size_t with_server = open_descriptor_count();
  {
    std::vector<HttpClient> clients;
    for (int i = 0; i < 512; ++i) clients.emplace_back(server.port());
    for (int i = 0; i < 500; ++i)
      ASSERT_TRUE(clients[static_cast<size_t>(i)].send("POST / HTTP/1.1\r\nHost: a\r\nContent-Le"));
    double worst = 0;
    for (int i = 0; i < 20; ++i) {
      const auto start = Clock::now();
      HttpClient client(server.port());
      ASSERT_TRUE(client.request("GET", "/health"));
      const auto response = client.receive();
      worst = std::max(worst, std::chrono::duration<double>(Clock::now() - start).count());
      ASSERT_TRUE(response);
      ASSERT_EQ(response->status, 200);
    }
    RecordProperty("worst_ms", std::to_string(worst * 1000));
    EXPECT_LT(worst, 2);  // far below on a machine that has nothing else to do
    EXPECT_LE(server.figures().connections_open, 512U);
  }
  EXPECT_TRUE(eventually([&] { return server.figures().connections_open == 0; }));
  EXPECT_TRUE(eventually([&] { return open_descriptor_count() == with_server; })) << open_descriptor_count();
  EXPECT_GT(with_server, before);
}

TEST(HttpGone, LeavesNothingBehindAfterManyDisconnects) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  const size_t baseline = open_descriptor_count();
  constexpr int kRounds = 300;
  std::vector<std::shared_ptr<HttpResponder>> kept;
  int requests = 0;
  for (int i = 0; i < kRounds; ++i) {
    HttpClient client(server.port());
    const bool is_whole = i % 3 != 0;
    client.send(is_whole ? "GET / HTTP/1.1\r\nHost: a\r\n\r\n" : "GET / HT");
    if (is_whole) {
      ++requests;
      auto responder = held.take().responder;
      ASSERT_TRUE(responder);
      if (i % 3 == 1) responder->begin_stream({});
      if (i % 3 == 1) responder->write("some");
      kept.push_back(std::move(responder));
    }
    if (i % 2 == 0) client.reset();
  }
  EXPECT_TRUE(held.wait_for_gone(requests));
  EXPECT_TRUE(eventually([&] { return server.figures().connections_open == 0; }));
  EXPECT_TRUE(eventually([&] { return open_descriptor_count() == baseline; }));
  for (const auto& responder : kept) responder->write("into the void");
}

TEST(HttpDrain, LetsAnswersFinish) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  HttpClient idle(server.port());
  ASSERT_TRUE(idle.request("GET", "/"));
  held.take().responder->send({.body = "{}"});
  ASSERT_TRUE(idle.receive());
  HttpClient busy(server.port());
  ASSERT_TRUE(busy.request("GET", "/"));
  auto responder = held.take().responder;
  responder->begin_stream({});
  responder->write("one");
  bool is_drained = false;
  std::thread drain([&] { is_drained = server.drain(Clock::now() + std::chrono::seconds(20)); });
  EXPECT_TRUE(idle.is_closed());
  responder->write("two");
  responder->finish();
  const auto response = busy.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "onetwo");  // with its last chunk
  EXPECT_TRUE(busy.is_closed());
  drain.join();
  EXPECT_TRUE(is_drained);
}

TEST(HttpDrain, CutsAtTheDeadline) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  const auto responder = held.take().responder;
  const auto start = Clock::now();
  EXPECT_FALSE(server.drain(start + milliseconds(100)));
  EXPECT_GE(Clock::now() - start, milliseconds(100));
  EXPECT_TRUE(client.is_closed());
  EXPECT_TRUE(held.wait_for_gone(1));
}

TEST(HttpDrain, EndsAtOnceWhenItIsCut) {
  HeldRequests held;
  HttpServer server(options_for_tests(), held.handler());
  HttpClient client(server.port());
  ASSERT_TRUE(client.request("GET", "/"));
  const auto responder = held.take().responder;
  std::thread cut([&] {
    std::this_thread::sleep_for(milliseconds(50));
    server.cut();
  });
  EXPECT_FALSE(server.drain(Clock::now() + std::chrono::seconds(60)));
  cut.join();
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpDrain, OutlivesNoConnectionAndIsOutlivedByResponders) {
  HeldRequests held;
  std::shared_ptr<HttpResponder> responder;
  {
    HttpServer server(options_for_tests(), held.handler());
    HttpClient client(server.port());
    ASSERT_TRUE(client.request("GET", "/"));
    responder = held.take().responder;
  }
  EXPECT_EQ(held.gone(), 1);
  responder->send({.body = "too late"});
}

}  // namespace
}  // namespace beryl::server
