#include "server/http_head.h"

#include <algorithm>
#include <array>
#include <boost/beast/http/rfc7230.hpp>
#include <charconv>
#include <utility>

#include "base/quote.h"

namespace beryl::server {
namespace {

constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
// Headers that say one thing: two of them are two meanings.
constexpr std::array<std::string_view, 10> kSingleHeaders = {
    "authorization", "content-encoding", "content-length",    "content-type", "expect",
    "host",          "origin",           "transfer-encoding", "x-api-key",    "x-request-id"};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_token_char(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || kTokenMarks.find(c) != std::string_view::npos;
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

HttpRefusal bad(std::string message) {
  return {.status = 400, .message = std::move(message)};
}

std::optional<HttpRefusal> read_version(std::string_view version, HttpHead& head) {
  const bool is_version = version.size() == 8 && version.substr(0, 5) == "HTTP/" && is_digit(version[5]) &&
                          version[6] == '.' && is_digit(version[7]);
  if (!is_version) return bad("the request line does not end in HTTP/1.1");
  if (version != "HTTP/1.0" && version != "HTTP/1.1") {
    return HttpRefusal{.status = 505, .message = "this server speaks HTTP/1.1 and HTTP/1.0"};
  }
  head.minor_version = version[7] - '0';
  return {};
}

std::optional<HttpRefusal> read_target(std::string_view target, HttpHead& head) {
  const bool is_visible =
      std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!is_visible || target.find('#') != std::string_view::npos) {
    return bad("the target of the request has characters that must be percent-encoded");
  }
  const bool is_server = target == "*" && head.method == "OPTIONS";
  if (target.empty() || (target.front() != '/' && !is_server)) {
    return bad("the target of the request must be a path that begins with '/'");
  }
  const size_t mark = target.find('?');
  head.path = target.substr(0, mark);
  head.query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  return {};
}

std::optional<HttpRefusal> check_host(const HttpHead& head) {
  const auto host = head.headers.find("host");
  if (host == head.headers.end()) {
    if (head.minor_version == 0) return {};
    return bad("the Host header is missing");
  }
  const auto is_host_char = [](char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') ||
           std::string_view("-._~:[]%").find(c) != std::string_view::npos;
  };
  if (!std::all_of(host->second.begin(), host->second.end(), is_host_char))
    return bad("the Host header is malformed");
  return {};
}

std::optional<HttpRefusal> read_content_length(std::string_view value, HttpHead& head) {
  const bool is_number =
      !value.empty() && value.size() <= 18 && std::all_of(value.begin(), value.end(), is_digit);
  if (!is_number) return bad("the Content-Length header is not a number");
  std::from_chars(value.data(), value.data() + value.size(), head.content_length);
  return {};
}

// How long the body is. Two answers to that are how requests are smuggled past a proxy.
std::optional<HttpRefusal> read_body_length(HttpHead& head) {
  const auto length = head.headers.find("content-length");
  const auto encoding = head.headers.find("transfer-encoding");
  if (encoding == head.headers.end()) {
    return length == head.headers.end() ? std::nullopt : read_content_length(length->second, head);
  }
  if (length != head.headers.end()) return bad("there are both Content-Length and Transfer-Encoding");
  if (head.minor_version == 0) return bad("HTTP/1.0 has no Transfer-Encoding");
  if (!equals_ignoring_case(encoding->second, "chunked"))
    return bad("the only Transfer-Encoding here is chunked");
  head.is_chunked = true;
  return {};
}

}  // namespace

std::string_view HttpHead::header(const std::string& lower_case_name) const {
  const auto found = headers.find(lower_case_name);
  return found == headers.end() ? std::string_view() : found->second;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return lower_case(a) == lower_case(b);
}

std::optional<HttpRefusal> read_request_line(std::string_view line, HttpHead& head) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return bad("the request line is not METHOD TARGET HTTP/1.1");
  }
  const std::string_view method = line.substr(0, first);
  if (!is_token(method)) return bad("the method of the request is malformed");
  head.method = method;
  if (auto refusal = read_version(line.substr(last + 1), head)) return refusal;
  return read_target(line.substr(first + 1, last - first - 1), head);
}

std::optional<HttpRefusal> read_header_line(std::string_view line, HttpHead& head) {
  if (line.front() == ' ' || line.front() == '\t') return bad("a header is folded over two lines");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return bad("a header line has no colon");
  if (!is_token(line.substr(0, colon))) return bad("the name of a header is malformed");
  const std::string name = lower_case(line.substr(0, colon));
  const std::string_view value = trim(line.substr(colon + 1));
  const auto [place, is_new] = head.headers.try_emplace(name, value);
  if (is_new) return {};
  if (std::find(kSingleHeaders.begin(), kSingleHeaders.end(), name) != kSingleHeaders.end()) {
    return bad("there are two headers " + quote(name));
  }
  place->second.append(", ").append(value);
  return {};
}

std::optional<HttpRefusal> finish_head(HttpHead& head) {
  if (auto refusal = check_host(head)) return refusal;
  if (auto refusal = read_body_length(head)) return refusal;
  const std::string connection(head.header("connection"));
  boost::beast::http::token_list options(connection);
  head.keeps_alive = head.minor_version == 1 ? !options.exists("close") : options.exists("keep-alive");
  const std::string_view expect = head.header("expect");
  if (!expect.empty() && head.minor_version == 1) {
    if (!equals_ignoring_case(expect, "100-continue")) {
      return HttpRefusal{.status = 417, .message = "the only expectation that can be met is 100-continue"};
    }
    head.expects_continue = true;
  }
  return {};
}

std::optional<uint64_t> read_chunk_size(std::string_view line) {
  constexpr size_t kDigitsMax = 8;
  const std::string_view digits = line.substr(0, line.find(';'));
  if (digits.empty() || digits.size() > kDigitsMax) return {};
  uint64_t size = 0;
  for (const char digit : digits) {
    const char c = lower(digit);
    if (!is_digit(c) && (c < 'a' || c > 'f')) return {};
    size = size * 16 + static_cast<uint64_t>(is_digit(c) ? c - '0' : c - 'a' + 10);
  }
  return size;
}

}  // namespace beryl::server
