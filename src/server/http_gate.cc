#include "server/http_gate.h"

#include <algorithm>
#include <array>

#include "base/quote.h"
#include "server/http_error.h"

namespace beryl::server {
namespace {

constexpr std::string_view kMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
constexpr std::array<std::string_view, 7> kKnownMethods = {"GET",   "HEAD",   "POST",   "PUT",
                                                           "PATCH", "DELETE", "OPTIONS"};

template <typename List>
bool contains(const List& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// "[::1]:8080" -> "[::1]", in lower case.
std::string without_port(std::string_view host) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  return lower_case(host.substr(0, colon));
}

bool is_loopback_name(std::string_view host) {
  return host == "localhost" || host == "[::1]" || host == "127.0.0.1" || host.ends_with(".localhost");
}

// Whether a page at `origin` came from the server that it now calls.
bool is_same_origin(std::string_view origin, std::string_view host) {
  const size_t slashes = origin.find("://");
  return slashes != std::string_view::npos && equals_ignoring_case(origin.substr(slashes + 3), host);
}

// Two names with the same answer, so that it does not tell whether a key was almost right.
HttpResponse unauthorized() {
  HttpResponse response = http_error(
      401, "this server needs a valid API key, as 'Authorization: Bearer KEY' or 'x-api-key: KEY'");
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

std::optional<HttpResponse> check_message(const HttpHead& head) {
  if (!contains(kKnownMethods, head.method)) {
    HttpResponse response = http_error(501, "no path here knows the method " + quote(head.method, 32));
    response.headers.emplace_back("Allow", kMethods);
    return response;
  }
  const std::string_view encoding = head.header("content-encoding");
  if (!encoding.empty() && !equals_ignoring_case(encoding, "identity")) {
    return http_error(415, "bodies that are compressed are not read; send it as it is");
  }
  return {};
}

}  // namespace

HttpGate::Verdict HttpGate::check(const HttpHead& head) const {
  if (auto refusal = check_message(head)) return {.answer = std::move(refusal)};
  if (options_.keys.empty()) {
    if (auto refusal = check_page(head)) return {.answer = std::move(refusal)};
  }
  if (head.method == "OPTIONS") return {.answer = answer_options(head)};
  if (options_.keys.empty()) return {};
  const std::string_view key = presented_key(head.header("authorization"), head.header("x-api-key"));
  std::optional<std::string> label = options_.keys.find_label(key);
  if (!label && needs_key(head.path)) return {.answer = unauthorized()};
  return {.caller = label.value_or("")};
}

bool HttpGate::needs_key(const std::string& path) const {
  if (path == "/metrics") return !options_.metrics_need_no_key;
  return path != "/health" && path != "/ready" && path != "/version";
}

bool HttpGate::allows_origin(std::string_view origin) const {
  return contains(options_.cors_origins, origin) || contains(options_.cors_origins, "*");
}

bool HttpGate::allows_host(std::string_view host) const {
  const std::string name = without_port(host);
  return options_.accepts_any_host || name.empty() || is_loopback_name(name) ||
         contains(options_.hosts, name);
}

std::optional<HttpResponse> HttpGate::check_page(const HttpHead& head) const {
  const std::string_view host = head.header("host");
  if (!allows_host(host)) {
    return http_error(403, "this server is not known as " + quote(host, 64) +
                               "; start it with an API key, or with --allowed-host to accept that name");
  }
  const std::string_view origin = head.header("origin");
  if (origin.empty() || allows_origin(origin) || is_same_origin(origin, host)) return {};
  return http_error(403,
                    "pages of " + quote(origin, 64) + " may not call this server; --cors-origin allows it");
}

std::vector<std::pair<std::string, std::string>> HttpGate::cors_headers(const HttpHead& head) const {
  const std::string_view origin = head.header("origin");
  if (origin.empty() || !allows_origin(origin)) return {};
  return {{"Access-Control-Allow-Origin", std::string(origin)},
          {"Access-Control-Expose-Headers", "x-request-id, retry-after"},
          {"Vary", "Origin"}};
}

HttpResponse HttpGate::answer_options(const HttpHead& head) const {
  HttpResponse response = {.status = 204, .content_type = ""};
  response.headers.emplace_back("Allow", kMethods);
  const std::string_view origin = head.header("origin");
  if (origin.empty() || !allows_origin(origin)) return response;
  const std::string_view wanted = head.header("access-control-request-headers");
  response.headers.emplace_back("Access-Control-Allow-Methods", kMethods);
  response.headers.emplace_back(
      "Access-Control-Allow-Headers",
      wanted.empty() ? "authorization, content-type, x-api-key, x-request-id" : wanted);
  response.headers.emplace_back("Access-Control-Max-Age", "600");
  return response;
}

}  // namespace beryl::server
