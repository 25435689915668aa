#include "cli/server_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/quote.h"

namespace beryl::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::chrono::seconds kTimeMax{10};

// One request on a connection of its own. Everything happens in run().
class Fetch {
 public:
  Fetch(const ServerAddress& address, const std::string& path, const std::string& key) : stream_(io_) {
    request_.method(http::verb::get);
    request_.target(path);
    request_.set(http::field::host, address.host + ":" + address.port);
    request_.set(http::field::connection, "close");
    if (!key.empty()) request_.set(http::field::authorization, "Bearer " + key);
    const auto found = asio::ip::tcp::resolver(io_).resolve(address.host, address.port, error_);
    if (!error_) connect(found);
  }

  error_code run() {
    io_.run();
    return error_;
  }
  const http::response<http::string_body>& response() const { return response_; }

 private:
  void connect(const asio::ip::tcp::resolver::results_type& found) {
    stream_.expires_after(kTimeMax);
    stream_.async_connect(found, [this](const error_code& error, const asio::ip::tcp::endpoint&) {
      error_ = error;
      if (!error) write();
    });
  }
  void write() {
    http::async_write(stream_, request_, [this](const error_code& error, size_t) {
      error_ = error;
      if (!error) read();
    });
  }
  void read() {
    http::async_read(stream_, buffer_, response_,
                     [this](const error_code& error, size_t) { error_ = error; });
  }

  asio::io_context io_;
  beast::tcp_stream stream_;
  http::request<http::empty_body> request_;
  beast::flat_buffer buffer_;
  http::response<http::string_body> response_;
  error_code error_;
};

// What an error of the server says, or all of its answer.
std::string message_of(const std::string& body) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("error") || !json["error"].is_object()) return printable(body);
  return printable(json["error"].value("message", body), 400);
}

}  // namespace

ServerAddress parse_server_url(std::string_view url) {
  const auto refuse = [&]() -> ServerAddress {
    throw Error(ErrorCode::kInvalidInput, quote(url) + " is no address of a server",
                "for example http://127.0.0.1:8484");
  };
  std::string_view rest = url;
  if (rest.starts_with("http://")) rest.remove_prefix(7);
  if (rest.ends_with("/")) rest.remove_suffix(1);
  if (rest.find('/') != std::string_view::npos) return refuse();
  const size_t bracket = rest.find(']');
  const size_t colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
  std::string_view host = rest.substr(0, colon);
  const std::string_view port = colon == std::string_view::npos ? "80" : rest.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  uint16_t number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (host.empty() || parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) return refuse();
  return {.host = std::string(host), .port = std::string(port)};
}

std::string get_from_server(const ServerAddress& address, const std::string& path, const std::string& key) {
  Fetch fetch(address, path, key);
  if (const error_code error = fetch.run()) {
    throw Error(ErrorCode::kIo,
                fmt::format("no server answers at {}:{}: {}", address.host, address.port, error.message()),
                "beryl serve MODEL starts one; --url tells where it is");
  }
  const auto& response = fetch.response();
  if (response.result_int() != 200) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("the server answers {} to {}: {}", response.result_int(), path,
                            message_of(response.body())),
                response.result_int() == 401 ? "--api-key or BERYL_API_KEY presents a key" : "");
  }
  return response.body();
}

double metric_value(std::string_view text, std::string_view name) {
  double sum = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(name) || line.size() == name.size()) continue;
    const char next = line[name.size()];
    const size_t space = line.rfind(' ');
    if ((next != ' ' && next != '{') || space == std::string_view::npos) continue;
    double value = 0;
    std::from_chars(line.data() + space + 1, line.data() + line.size(), value);
    sum += value;
  }
  return sum;
}

}  // namespace beryl::cli
