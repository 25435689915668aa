#include "server/http_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/http_boundary_cases_for_tests.h"

namespace beryl::server {
namespace {

struct Reading {
  HttpParserState state = HttpParserState::kHead;
  int status = 0;
  std::string message;
  std::string echo;
  size_t taken = 0;

  friend bool operator==(const Reading&, const Reading&) = default;
};

// Reads one request in pieces of so many bytes.
Reading read(const std::string& bytes, size_t piece, const HttpLimits& limits = {}) {
  HttpParser parser(limits);
  Reading reading;
  while (reading.taken < bytes.size()) {
    reading.taken += parser.put(std::string_view(bytes).substr(reading.taken, piece));
    if (parser.state() == HttpParserState::kHeadDone) parser.go_on();
    if (parser.state() == HttpParserState::kDone || parser.state() == HttpParserState::kRefused) break;
  }
  reading.state = parser.state();
  if (parser.state() == HttpParserState::kRefused) {
    reading.status = parser.refusal().status;
    reading.message = parser.refusal().message;
  } else {
    const HttpHead& head = parser.head();
    reading.echo = head.method + " " + head.path + "?" + head.query + " " + parser.body();
  }
  return reading;
}

int status_of(const std::string& bytes, const HttpLimits& limits = {}) {
  const Reading reading = read(bytes, bytes.size(), limits);
  return reading.state == HttpParserState::kDone ? 200 : reading.status;
}

std::string get_with(const std::string& headers) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n";
}

TEST(HttpParser, PiecesMakeNoDifference) {
  for (const BoundaryCase& one : all_boundary_cases()) {
    const Reading whole = read(one.bytes, one.bytes.size());
    for (size_t piece = 1; piece < std::min<size_t>(one.bytes.size(), 40); ++piece) {
      EXPECT_EQ(read(one.bytes, piece), whole) << one.name << " in pieces of " << piece;
    }
  }
}

TEST(HttpParser, LeavesWhatFollowsARequest) {
  const std::string first = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
  const HttpLimits limits;
  HttpParser parser(limits);
  std::string bytes = first + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
  bytes.erase(0, parser.put(bytes));
  parser.go_on();
  bytes.erase(0, parser.put(bytes));
  ASSERT_EQ(parser.state(), HttpParserState::kDone);
  EXPECT_EQ(parser.body(), "ab");
  parser.reset();
  EXPECT_FALSE(parser.has_begun());
  bytes.erase(0, parser.put(bytes));
  parser.go_on();
  ASSERT_EQ(parser.state(), HttpParserState::kDone);
  EXPECT_EQ(parser.head().path, "/next");
  EXPECT_EQ(parser.body(), "");
  EXPECT_EQ(bytes, "");
}

TEST(HttpParser, JoinsHeadersOfOneName) {
  const HttpLimits limits;
  HttpParser parser(limits);
  parser.put("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: b\r\nx-forwarded-FOR: c\r\n\r\n");
  EXPECT_EQ(parser.head().header("x-forwarded-for"), "b, c");
}

TEST(HttpParser, KeepsAliveAsTheVersionSays) {
  const auto keeps_alive = [](const std::string& bytes) {
    const HttpLimits limits;
    HttpParser parser(limits);
    parser.put(bytes);
    return parser.head().keeps_alive;
  };
  EXPECT_TRUE(keeps_alive(get_with("")));
  EXPECT_FALSE(keeps_alive(get_with("Connection: close\r\n")));
  EXPECT_FALSE(keeps_alive(get_with("Connection: TE, Close\r\n")));
  EXPECT_FALSE(keeps_alive("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps_alive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

// Limits: one below, at, and one above.

TEST(HttpParser, BoundsTheRequestLine) {
  const HttpLimits limits;
  const auto line_of = [](size_t bytes) {
    const std::string rest = "GET / HTTP/1.1\r\n";
    return "GET /" + std::string(bytes - rest.size(), 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  EXPECT_EQ(status_of(line_of(limits.request_line_bytes_max - 1)), 200);
  EXPECT_EQ(status_of(line_of(limits.request_line_bytes_max)), 200);
  EXPECT_EQ(status_of(line_of(limits.request_line_bytes_max + 1)), 414);
}

TEST(HttpParser, BoundsAllHeadersTogether) {
  const HttpLimits limits;
  const auto headers_of = [](size_t bytes) {
    const std::string rest = "Host: a\r\nX: \r\nY: \r\n\r\n";
    const size_t half = (bytes - rest.size()) / 2;
    return get_with("X: " + std::string(half, 'a') +
                    "\r\nY: " + std::string(bytes - rest.size() - half, 'a') + "\r\n");
  };
  EXPECT_EQ(status_of(headers_of(limits.header_bytes_max - 1)), 200);
  EXPECT_EQ(status_of(headers_of(limits.header_bytes_max)), 200);
  EXPECT_EQ(status_of(headers_of(limits.header_bytes_max + 1)), 431);
}

TEST(HttpParser, BoundsTheNumberOfHeaders) {
  const HttpLimits limits;
  const auto headers = [](size_t count) {
    std::string text;
    for (size_t i = 1; i < count; ++i) text += "X-" + std::to_string(i) + ": a\r\n";
    return get_with(text);
  };
  EXPECT_EQ(status_of(headers(limits.header_count_max - 1)), 200);
  EXPECT_EQ(status_of(headers(limits.header_count_max)), 200);
  EXPECT_EQ(status_of(headers(limits.header_count_max + 1)), 431);
}

TEST(HttpParser, BoundsABodyOfKnownLength) {
  const HttpLimits limits{.body_bytes_max = 1000};
  const auto body_of = [](size_t bytes) {
    return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n" +
           std::string(bytes, 'a');
  };
  EXPECT_EQ(status_of(body_of(999), limits), 200);
  EXPECT_EQ(status_of(body_of(1000), limits), 200);
  EXPECT_EQ(status_of(body_of(1001), limits), 413);
  EXPECT_EQ(HttpLimits{}.body_bytes_max, 8U << 20);
}

TEST(HttpParser, BoundsABodyInChunks) {
  const HttpLimits limits{.body_bytes_max = 0x20};
  const auto chunks = [](const std::string& last) {
    return in_chunks("10\r\n0123456789abcdef\r\n" + last + "\r\n0\r\n\r\n");
  };
  EXPECT_EQ(status_of(chunks("f\r\n0123456789abcde"), limits), 200);
  EXPECT_EQ(status_of(chunks("10\r\n0123456789abcdef"), limits), 200);
  EXPECT_EQ(status_of(chunks("11\r\n0123456789abcdefg"), limits), 413);
}

TEST(HttpParser, BoundsWhatFramesChunks) {
  const HttpLimits limits;
  const auto chunk_line = [](size_t bytes) {
    return in_chunks("1;" + std::string(bytes - 4, 'a') + "\r\nb\r\n0\r\n\r\n");
  };
  EXPECT_EQ(status_of(chunk_line(limits.chunk_line_bytes_max - 1)), 200);
  EXPECT_EQ(status_of(chunk_line(limits.chunk_line_bytes_max)), 200);
  EXPECT_EQ(status_of(chunk_line(limits.chunk_line_bytes_max + 1)), 400);
  const auto trailer = [](size_t bytes) {
    return in_chunks("0\r\nX: " + std::string(bytes - 7, 'a') + "\r\n\r\n");
  };
  EXPECT_EQ(status_of(trailer(limits.trailer_bytes_max - 1)), 200);
  EXPECT_EQ(status_of(trailer(limits.trailer_bytes_max)), 200);
  EXPECT_EQ(status_of(trailer(limits.trailer_bytes_max + 1)), 400);
}

// A line that never ends is refused as soon as it is too long, not buffered.
TEST(HttpParser, RefusesEndlessLinesEarly) {
  const HttpLimits limits;
  HttpParser parser(limits);
  const std::string endless(1 << 20, 'a');
  EXPECT_LE(parser.put(endless), limits.request_line_bytes_max);
  EXPECT_EQ(parser.state(), HttpParserState::kRefused);
  EXPECT_EQ(parser.refusal().status, 414);
}

}  // namespace
}  // namespace beryl::server
