#include "server/http_error.h"

#include <boost/beast/http/status.hpp>
#include <nlohmann/json.hpp>

namespace beryl::server {

std::string_view http_error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 501:
    case 505:
      return "not_supported_error";
    case 503:
      return "unavailable_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

std::string_view http_reason(int status) {
  const auto reason =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(static_cast<unsigned>(status)));
  return {reason.data(), reason.size()};
}

HttpResponse http_error(int status, std::string_view message) {
  const nlohmann::ordered_json error = {
      {"message", message}, {"type", http_error_type(status)}, {"param", nullptr}, {"code", nullptr}};
  using nlohmann::ordered_json;
  return {
      .status = status,
      .body = ordered_json{{"error", error}}.dump(-1, ' ', false, ordered_json::error_handler_t::replace)};
}

}  // namespace beryl::server
