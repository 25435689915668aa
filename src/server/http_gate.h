// Decides from the head of a request alone, before its body is read, whether it goes on to the protocol.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/api_keys.h"
#include "server/http.h"
#include "server/http_head.h"

namespace beryl::server {

struct HttpGateOptions {
  ApiKeys keys = {};  // none: anyone may call
  // Web pages that may call, "https://chat.example.org"; "*": all of them.
  std::vector<std::string> cors_origins = {};
  // Names that requests may be addressed to (the Host header, without port), besides those of this machine's
  // loopback. Not looked at when there are keys or `accepts_any_host`.
  std::vector<std::string> hosts = {};
  bool accepts_any_host = false;
  // With keys, /metrics is closed unless this opens it: a scraper may have none.
  bool metrics_need_no_key = false;
};

// Immutable; any thread.
class HttpGate {
 public:
  explicit HttpGate(HttpGateOptions options) : options_(std::move(options)) {}

  struct Verdict {
    std::optional<HttpResponse> answer = {};  // the request ends with it
    std::string caller = {};                  // the label of its key; empty without
  };
  // Every path needs a key but /health, /ready and /version, so that a new one is closed until someone opens
  // it. What a web page sends without a key is refused unless its origin is listed: it comes from whatever
  // site the user has open, not from the user.
  Verdict check(const HttpHead& head) const;

  // What lets a web page of this origin read the answer; none when it may not.
  std::vector<std::pair<std::string, std::string>> cors_headers(const HttpHead& head) const;

 private:
  bool needs_key(const std::string& path) const;
  bool allows_origin(std::string_view origin) const;
  bool allows_host(std::string_view host) const;
  std::optional<HttpResponse> check_page(const HttpHead& head) const;
  HttpResponse answer_options(const HttpHead& head) const;

  const HttpGateOptions options_;
};

}  // namespace beryl::server
