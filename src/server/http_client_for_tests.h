// A client that sends any bytes and reads responses with Beast's parser, which the server does not use.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace beryl::server {

struct ClientResponse {
  int status = 0;
  std::string body;
  boost::beast::http::fields headers;

  std::string header(const std::string& name) const {
    const auto value = headers[name];
    return {value.data(), value.size()};
  }
};

class HttpClient {
 public:
  static constexpr int kWaitMs = 20'000;  // for what must come; sanitizers are slow

  // From an address of this machine's loopback.
  explicit HttpClient(uint16_t port, const char* from = nullptr)
      : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (from != nullptr) {
      address.sin_addr.s_addr = ::inet_addr(from);
      EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    }
    address.sin_addr.s_addr = ::inet_addr("127.0.0.1");
    address.sin_port = htons(port);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~HttpClient() { close(); }
  HttpClient(HttpClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), received_(std::move(other.received_)) {}
  HttpClient& operator=(HttpClient&&) = delete;

  int socket() const { return socket_; }

  // False when the other side no longer takes anything.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // Sends what a client of HTTP/1.1 sends.
  bool request(std::string_view method, std::string_view path, std::string_view headers = "",
               std::string_view body = "") {
    std::string text = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n";
    text.append(headers);
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return send(text.append("\r\n").append(body));
  }

  // The next response; nothing when the connection ends before it is complete, or nothing comes.
  std::optional<ClientResponse> receive(bool is_answer_to_head = false) {
    using boost::beast::http::response_parser;
    response_parser<boost::beast::http::string_body> parser;
    parser.eager(true);
    parser.skip(is_answer_to_head);
    parser.body_limit(uint64_t{64} << 20);
    while (!parser.is_done()) {
      boost::system::error_code error;
      if (!received_.empty()) {
        received_.erase(0, parser.put(boost::asio::buffer(received_), error));
        if (error && error != boost::beast::http::error::need_more) return {};
      }
      if (parser.is_done()) break;
      if (!receive_more()) {
        parser.put_eof(error);
        if (error || !parser.is_done()) return {};
      }
    }
    auto message = parser.release();
    if (message.result_int() == 100) return receive(is_answer_to_head);
    return ClientResponse{.status = static_cast<int>(message.result_int()),
                          .body = std::move(message.body()),
                          .headers = std::move(message.base())};
  }

  // Everything up to the end of the connection.
  std::string receive_all() {
    while (receive_more()) {
    }
    return std::exchange(received_, {});
  }
  // What has come and was not read as a response; waits for at least `bytes` of it.
  std::string receive_bytes(size_t bytes) {
    while (received_.size() < bytes && receive_more()) {
    }
    return std::exchange(received_, {});
  }

  // Whether the other side ends the connection within the time. What it sends before is dropped.
  bool is_closed_within(std::chrono::milliseconds time) {
    const auto deadline = std::chrono::steady_clock::now() + time;
    for (;;) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0 || !wait_for_input(static_cast<int>(left.count()))) return false;
      if (!receive_more()) return true;
    }
  }
  bool is_closed() { return is_closed_within(std::chrono::milliseconds(kWaitMs)); }

  void end_sending() { ::shutdown(socket_, SHUT_WR); }
  // With a reset in place of an orderly end.
  void reset() {
    const linger at_once = {.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close();
  }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

 private:
  bool wait_for_input(int ms) {
    pollfd wanted = {.fd = socket_, .events = POLLIN, .revents = 0};
    return ::poll(&wanted, 1, ms) == 1;
  }
  bool receive_more() {
    std::array<char, 65536> buffer;
    if (!wait_for_input(kWaitMs)) return false;
    const ssize_t bytes = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (bytes <= 0) return false;
    received_.append(buffer.data(), static_cast<size_t>(bytes));
    return true;
  }

  int socket_;
  std::string received_;
};

}  // namespace beryl::server
