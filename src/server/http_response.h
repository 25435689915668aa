// The bytes of responses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/http.h"

namespace beryl::server {

// How the end of a response's body is known.
enum class HttpFraming : uint8_t {
  kLength,      // Content-Length
  kChunked,     // chunks
  kUntilClose,  // a stream to a client of HTTP/1.0
};

struct HttpHeadOptions {
  HttpFraming framing = HttpFraming::kLength;
  bool keeps_alive = true;
  int minor_version = 1;  // of the request
  std::string_view request_id = {};
  const std::vector<std::pair<std::string, std::string>>* more_headers = nullptr;
};

// Status line and headers with the empty line. Values of headers that have control characters, which could
// split the response, get spaces in their place.
std::string http_response_head(const HttpResponse& response, const HttpHeadOptions& options);

// Whether responses of this status have a body at all.
bool http_status_has_body(int status);

// One chunk; `data` is not empty, since an empty chunk ends the body.
std::string http_chunk(std::string_view data);
inline constexpr std::string_view kHttpLastChunk = "0\r\n\r\n";

}  // namespace beryl::server
