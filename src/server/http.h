// server: an OpenAI-compatible HTTP server over an engine.
//
// In:  HTTP requests.
// Out: HTTP responses, streamed or whole; metrics; an access log.
// Must never know: how tokens are computed, how memory is divided.
//
// This header is the border between transport (http_server.h: connections, TLS, limits, keys) and protocol
// (api.h: what each path answers).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace beryl::server {

struct HttpRequest {
  std::string method;                          // "GET"
  std::string path;                            // without the query, as sent
  std::string query;                           // what follows '?'
  std::map<std::string, std::string> headers;  // by name in lower case
  std::string body;                            // whole
  std::string id;                              // the client's x-request-id when it is sane, or a new one
  std::string client;                          // the caller, for fairness and logs: never a secret

  // Empty when there is none.
  std::string_view header(const std::string& lower_case_name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};  // more than the transport adds by itself
};

// The answer to one request, given at any time and from any thread: either send(), or begin_stream(), any
// number of write() and finish(). Calls after the client has gone do nothing, nor do calls out of that order.
// Letting go of the last reference without a whole answer is answered with 500, or cuts the stream.
class HttpResponder {
 public:
  virtual ~HttpResponder() = default;
  virtual void send(HttpResponse response) = 0;
  // Sends the head of a stream of server-sent events (response.body is ignored).
  virtual void begin_stream(HttpResponse head) = 0;
  virtual void write(std::string piece) = 0;
  virtual void finish() = 0;
  // Called once, on a thread of the transport, when the client goes away, or reads so slowly that its stream
  // is cut, before the answer is complete. At once when that has already happened.
  virtual void on_gone(std::function<void()> callback) = 0;
  // A figure for the request's line in the access log ("prompt_tokens", "12"), before the answer is complete.
  // Never text of a prompt or an answer. Names are constants.
  virtual void note(std::string_view /*name*/, std::string_view /*value*/) {}
};

// What answers requests. Called on a thread of the transport: must return soon, and may answer later.
using HttpHandler = std::function<void(HttpRequest request, std::shared_ptr<HttpResponder> responder)>;

}  // namespace beryl::server
