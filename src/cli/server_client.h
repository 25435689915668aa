// Reads from a running server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace beryl::cli {

// Where a server is: "http://127.0.0.1:8484".
struct ServerAddress {
  std::string host;
  std::string port;
};

// Errors: kInvalidInput for what is no http URL of a host and, if wanted, a port.
ServerAddress parse_server_url(std::string_view url);

// The body of what the server answers to GET `path`; `key` may be empty. Errors: kIo when it cannot be
// reached or does not answer in time; kInvalidInput with what it says when the status is not 200.
std::string get_from_server(const ServerAddress& address, const std::string& path, const std::string& key);

// The value of a metric without labels, or the sum over all its labels; 0 when there is none of this name.
double metric_value(std::string_view text, std::string_view name);

}  // namespace beryl::cli
