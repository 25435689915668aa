#include "server/http_server.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "server/http_connection.h"
#include "server/http_error.h"

namespace beryl::server {
namespace {

namespace asio = boost::asio;
using asio::generic::stream_protocol;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kRetryAccept = std::chrono::milliseconds(100);

tcp::endpoint find_address(const HttpServerOptions& options) {
  error_code error;
  const asio::ip::address address = asio::ip::make_address(options.host, error);
  if (!error) return {address, options.port};
  asio::io_context context;
  const auto found = tcp::resolver(context).resolve(options.host, "", error);
  if (error || found.empty()) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("the address '{}' is not known: {}", options.host, error.message()),
                "give an address of this machine, for example 127.0.0.1");
  }
  return {found.begin()->endpoint().address(), options.port};
}

stream_protocol::endpoint unix_address(const std::filesystem::path& path) {
  try {
    return asio::local::stream_protocol::endpoint(path.string());
  } catch (const boost::system::system_error& error) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("'{}' cannot name a socket: {}", path.string(), error.code().message()),
                "use a shorter path");
  }
}

// Whether another server listens there.
bool is_answered(const stream_protocol::endpoint& address) {
  asio::io_context context;
  Socket socket(context);
  error_code error;
  return !socket.connect(address, error);
}

// An address in the form that asio uses for all protocols.
template <typename Endpoint>
Endpoint endpoint_as(const stream_protocol::endpoint& generic) {
  Endpoint result;
  const size_t bytes = std::min<size_t>(generic.size(), result.capacity());
  std::memcpy(result.data(), generic.data(), bytes);
  result.resize(bytes);
  return result;
}

}  // namespace

HttpServer::HttpServer(HttpServerOptions options, HttpHandler handler)
    : options_(std::move(options)),
      shared_{.limits = options_.limits, .gate = HttpGate(options_.gate), .handler = std::move(handler)},
      work_(asio::make_work_guard(io_)),
      strand_(asio::make_strand(io_)),
      acceptor_(strand_),
      retry_(strand_),
      accepted_(strand_) {
  shared_.on_record = options_.on_record;
  shared_.on_closed = [this](const HttpConnection& connection) { on_closed(connection); };
  if (options_.tls) tls_ = make_tls_context(*options_.tls);
  listen();
  asio::post(strand_, [this] { accept(); });
  for (int i = 0; i < std::max(1, options_.threads); ++i) {
    threads_.emplace_back([this] { io_.run(); });
  }
}

HttpServer::~HttpServer() {
  stop_listening();
  cut();
  shared_.connections.wait_for_zero();
  work_.reset();
  for (std::thread& thread : threads_) thread.join();
  if (!options_.unix_socket.empty()) ::unlink(options_.unix_socket.c_str());
}

void HttpServer::listen() {
  const bool is_unix = !options_.unix_socket.empty();
  const stream_protocol::endpoint address =
      is_unix ? unix_address(options_.unix_socket) : find_address(options_);
  const std::string name =
      is_unix ? options_.unix_socket.string() : fmt::format("{}:{}", options_.host, options_.port);
  error_code error;
  error = acceptor_.open(address.protocol(), error);
  if (!error && !is_unix) error = acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (is_unix && std::filesystem::is_socket(options_.unix_socket) && !is_answered(address)) {
    ::unlink(options_.unix_socket.c_str());  // what an earlier run left behind
  }
  const mode_t mask = ::umask(0077);
  if (!error) error = acceptor_.bind(address, error);
  ::umask(mask);
  if (!error) error = acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    throw Error(ErrorCode::kIo, fmt::format("cannot listen on {}: {}", name, error.message()),
                error == asio::error::address_in_use
                    ? "stop what listens there, or choose another --port; 0 picks a free one"
                    : "");
  }
  if (is_unix) {
    url_ = "unix:" + name;
    return;
  }
  const auto bound = endpoint_as<tcp::endpoint>(acceptor_.local_endpoint());
  port_ = bound.port();
  const bool is_v6 = bound.address().is_v6();
  url_ = fmt::format("{}://{}{}{}:{}", tls_ ? "https" : "http", is_v6 ? "[" : "", bound.address().to_string(),
                     is_v6 ? "]" : "", port_);
}

void HttpServer::accept() {
  if (!acceptor_.is_open()) return;
  accepted_ = Socket(asio::make_strand(io_));
  acceptor_.async_accept(accepted_, [this](const error_code& error) { on_accept(error); });
}

void HttpServer::on_accept(const SystemError& error) {
  if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
  if (error) {  // out of descriptors, most likely: an idle connection holds one
    {
      const std::lock_guard lock(mutex_);
      close_longest_idle();
    }
    retry_.expires_after(kRetryAccept);
    return retry_.async_wait([this](const error_code&) { accept(); });
  }
  Socket socket = std::move(accepted_);
  const Peer peer = peer_of(socket);
  if (admit(peer)) {
    start_connection(std::move(socket), peer);
  } else {
    refuse(std::move(socket));
  }
  accept();
}

HttpServer::Peer HttpServer::peer_of(const Socket& socket) const {
  if (!options_.unix_socket.empty()) return {.name = "unix", .is_local = true};
  error_code error;
  const auto endpoint = endpoint_as<tcp::endpoint>(socket.remote_endpoint(error));
  if (error) return {.name = "unknown"};
  return {.name = endpoint.address().to_string(), .is_local = endpoint.address().is_loopback()};
}

bool HttpServer::admit(const Peer& peer) {
  const HttpLimits& limits = shared_.limits;
  const std::lock_guard lock(mutex_);
  ++figures_.connections_accepted;
  const auto same = connections_by_peer_.find(peer.name);
  const bool is_peer_full =
      same != connections_by_peer_.end() && same->second >= limits.connections_per_peer_max;
  if (is_peer_full || (connections_.size() >= limits.connections_max && !close_longest_idle())) {
    ++figures_.connections_refused;
    return false;
  }
  if (!peer.is_local) ++connections_by_peer_[peer.name];
  return true;
}

// An idle connection can be closed at any time, as clients know; better that than refusing one that wants
// something.
bool HttpServer::close_longest_idle() {
  std::shared_ptr<HttpConnection> longest;
  OpenConnection* chosen = nullptr;
  for (auto& [key, open] : connections_) {
    std::shared_ptr<HttpConnection> connection = open.connection.lock();
    if (!connection || open.was_asked_to_leave || connection->idle_since() == 0) continue;
    if (longest && longest->idle_since() <= connection->idle_since()) continue;
    longest = std::move(connection);
    chosen = &open;
  }
  if (!longest) return false;
  chosen->was_asked_to_leave = true;
  longest->drain();
  return true;
}

void HttpServer::start_connection(Socket socket, const Peer& peer) {
  error_code ignored;
  if (options_.unix_socket.empty()) ignored = socket.set_option(tcp::no_delay(true), ignored);
  const asio::any_io_executor executor = socket.get_executor();
  auto stream = tls_ ? make_tls_stream(std::move(socket), *tls_) : make_plain_stream(std::move(socket));
  const auto connection = std::make_shared<HttpConnection>(shared_, std::move(stream), executor, peer.name);
  {
    const std::lock_guard lock(mutex_);
    connections_.emplace(connection.get(), OpenConnection{.connection = connection});
  }
  connection->start();
  if (shared_.is_draining) connection->drain();
}

void HttpServer::refuse(Socket socket) {
  // Through TLS it would take a handshake to say it.
  if (tls_) return;
  HttpResponse response = http_error(503, "the server has too many connections");
  response.headers.emplace_back("Retry-After", "1");
  const std::string bytes = http_response_head(response, {.keeps_alive = false}) + response.body;
  error_code ignored;
  ignored = socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(bytes), ignored);  // fits into the empty buffer of a new socket
  ignored = socket.shutdown(Socket::shutdown_send, ignored);
}

void HttpServer::on_closed(const HttpConnection& connection) {
  const std::lock_guard lock(mutex_);
  connections_.erase(&connection);
  const auto peer = connections_by_peer_.find(connection.peer());
  if (peer != connections_by_peer_.end() && --peer->second == 0) connections_by_peer_.erase(peer);
  changed_.notify_all();
}

void HttpServer::stop_listening() {
  asio::post(strand_, [this] {
    error_code ignored;
    ignored = acceptor_.close(ignored);
    retry_.cancel();
  });
}

std::vector<std::shared_ptr<HttpConnection>> HttpServer::open_connections() {
  std::vector<std::shared_ptr<HttpConnection>> open;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, entry] : connections_) {
    if (auto connection = entry.connection.lock()) open.push_back(std::move(connection));
  }
  return open;
}

bool HttpServer::drain(std::chrono::steady_clock::time_point deadline) {
  shared_.is_draining = true;
  stop_listening();
  for (const auto& connection : open_connections()) connection->drain();
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [this] { return connections_.empty() || is_cut_; });
  const bool is_done = connections_.empty() && !is_cut_;
  lock.unlock();
  cut();
  return is_done;
}

void HttpServer::cut() {
  shared_.is_draining = true;
  {
    const std::lock_guard lock(mutex_);
    is_cut_ = true;
    changed_.notify_all();
  }
  for (const auto& connection : open_connections()) connection->cut();
}

HttpFigures HttpServer::figures() const {
  const std::lock_guard lock(mutex_);
  HttpFigures figures = figures_;
  figures.connections_open = connections_.size();
  for (const auto& [key, open] : connections_) {
    const std::shared_ptr<HttpConnection> connection = open.connection.lock();
    if (connection && connection->idle_since() != 0) ++figures.connections_idle;
  }
  return figures;
}

bool is_loopback_host(const std::string& host) {
  return find_address({.host = host}).address().is_loopback();
}

}  // namespace beryl::server
