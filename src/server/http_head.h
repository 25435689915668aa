// The head of an HTTP request, and the rules by which its lines are read. They are stricter than the standard
// asks: whatever two programs could read in two ways is refused.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace beryl::server {

struct HttpHead {
  std::string method;
  std::string path;       // begins with '/', or is "*" for OPTIONS
  std::string query;      // what follows '?'
  int minor_version = 1;  // of HTTP/1.x
  // By name in lower case. Lines of one name are joined by ", ", where that is allowed.
  std::map<std::string, std::string> headers;

  // What finish_head() finds in the headers.
  bool is_chunked = false;
  uint64_t content_length = 0;  // when not chunked
  bool keeps_alive = true;
  bool expects_continue = false;

  bool has_body() const { return is_chunked || content_length > 0; }
  // Empty when there is none.
  std::string_view header(const std::string& lower_case_name) const;
};

// Why a request is refused.
struct HttpRefusal {
  int status = 400;
  std::string message;
};

// Lines come without their end and hold no control characters but tabs. Each returns what is wrong.
std::optional<HttpRefusal> read_request_line(std::string_view line, HttpHead& head);
std::optional<HttpRefusal> read_header_line(std::string_view line, HttpHead& head);
// After the last line: the length of the body, and what else the headers say to the transport.
std::optional<HttpRefusal> finish_head(HttpHead& head);

// The size that begins a chunk; anything after ';' is ignored. Empty when it is malformed.
std::optional<uint64_t> read_chunk_size(std::string_view line);

bool is_token(std::string_view text);
std::string lower_case(std::string_view text);
// Compares letters of ASCII without their case.
bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace beryl::server
