// Listens, and holds the connections.
//
//   HttpServer server({.host = "127.0.0.1", .port = 0}, handler);
//   ... server.port() ...
//   server.drain(deadline);
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/http.h"
#include "server/http_gate.h"
#include "server/http_shared.h"
#include "server/http_stream.h"
#include "server/limits.h"

namespace beryl::server {

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // an address or a name; of a name, the first address
  uint16_t port = 0;               // 0: a free one
  // Listens there in place of an address. The file is made anew, readable by this user only.
  std::filesystem::path unix_socket = {};
  std::optional<TlsFiles> tls = {};
  HttpLimits limits = {};
  HttpGateOptions gate = {};
  int threads = 2;
  std::function<void(const HttpRecord&)> on_record = {};  // after each request, on a thread of the server
};

struct HttpFigures {
  uint64_t connections_open = 0;
  uint64_t connections_idle = 0;  // of those; no request has begun
  uint64_t connections_accepted = 0;
  uint64_t connections_refused = 0;  // there were too many
};

class HttpServer {
 public:
  // Listens when it returns. Errors: kIo when the address cannot be had, kInvalidInput for TLS files and
  // addresses that cannot be used.
  HttpServer(HttpServerOptions options, HttpHandler handler);
  // Cuts what is left.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const { return port_; }
  // "http://127.0.0.1:8000", or "unix:PATH".
  const std::string& url() const { return url_; }

  // Takes no more connections; requests in progress go on, new ones on open connections get 503. Returns when
  // all are done, or at the deadline, or after cut(): true in the first case.
  bool drain(std::chrono::steady_clock::time_point deadline);
  // Ends all connections at once, those that are being drained, too.
  void cut();

  HttpFigures figures() const;

 private:
  using SystemError = boost::system::error_code;
  struct Peer {
    std::string name;
    bool is_local = false;  // this machine, whose addresses stand for many clients
  };
  struct OpenConnection {
    std::weak_ptr<HttpConnection> connection;
    bool was_asked_to_leave = false;  // to make room
  };

  void listen();
  void stop_listening();
  void accept();
  void on_accept(const SystemError& error);
  Peer peer_of(const Socket& socket) const;
  // False: there are too many.
  bool admit(const Peer& peer);
  // False: none is idle. The lock is held by the caller.
  bool close_longest_idle();
  void start_connection(Socket socket, const Peer& peer);
  void refuse(Socket socket);
  void on_closed(const HttpConnection& connection);
  std::vector<std::shared_ptr<HttpConnection>> open_connections();

  const HttpServerOptions options_;
  HttpShared shared_;
  std::unique_ptr<boost::asio::ssl::context> tls_;  // null: plain
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::strand<boost::asio::io_context::executor_type> strand_;  // of what accepts
  boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol> acceptor_;
  boost::asio::steady_timer retry_;
  Socket accepted_;
  uint16_t port_ = 0;
  std::string url_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<const HttpConnection*, OpenConnection> connections_;
  std::map<std::string, size_t> connections_by_peer_;  // without local ones
  HttpFigures figures_;
  bool is_cut_ = false;
  std::vector<std::thread> threads_;  // last
};

// Whether only this machine can reach the address.
bool is_loopback_host(const std::string& host);

}  // namespace beryl::server
