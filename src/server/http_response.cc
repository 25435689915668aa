#include "server/http_response.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "base/check.h"
#include "server/http_error.h"

namespace beryl::server {
namespace {

void add_header(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ");
  std::transform(value.begin(), value.end(), std::back_inserter(head), [](char c) {
    const auto code = static_cast<unsigned char>(c);
    return code < ' ' || code == 0x7f ? ' ' : c;
  });
  head.append("\r\n");
}

}  // namespace

bool http_status_has_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

std::string http_response_head(const HttpResponse& response, const HttpHeadOptions& options) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, http_reason(response.status));
  add_header(head, "Server", "beryl");
  add_header(head, "Date", fmt::format("{:%a, %d %b %Y %H:%M:%S GMT}", fmt::gmtime(std::time(nullptr))));
  if (!response.content_type.empty()) add_header(head, "Content-Type", response.content_type);
  if (!options.request_id.empty()) add_header(head, "x-request-id", options.request_id);
  for (const auto& [name, value] : response.headers) add_header(head, name, value);
  if (options.more_headers != nullptr) {
    for (const auto& [name, value] : *options.more_headers) add_header(head, name, value);
  }
  if (options.framing == HttpFraming::kChunked) {
    add_header(head, "Transfer-Encoding", "chunked");
  } else if (options.framing == HttpFraming::kLength && http_status_has_body(response.status)) {
    add_header(head, "Content-Length", std::to_string(response.body.size()));
  }
  if (!options.keeps_alive) {
    add_header(head, "Connection", "close");
  } else if (options.minor_version == 0) {
    add_header(head, "Connection", "keep-alive");
  }
  return head.append("\r\n");
}

std::string http_chunk(std::string_view data) {
  BERYL_CHECK(!data.empty());
  return fmt::format("{:x}\r\n{}\r\n", data.size(), data);
}

}  // namespace beryl::server
