#include "server/http_stream.h"

#include <fmt/format.h>

#include <boost/asio/ssl.hpp>
#include <utility>

#include "base/error.h"

namespace beryl::server {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

void close_socket(Socket& socket) {
  error_code ignored;
  ignored = socket.shutdown(Socket::shutdown_both, ignored);
  ignored = socket.close(ignored);
}

class PlainStream final : public HttpStream {
 public:
  explicit PlainStream(Socket socket) : socket_(std::move(socket)) {}

  void handshake(std::function<void(const error_code&)> done) override {
    asio::post(socket_.get_executor(), [done = std::move(done)] { done({}); });
  }
  void read_some(asio::mutable_buffer buffer, Done done) override {
    socket_.async_read_some(buffer, std::move(done));
  }
  void write_some(asio::const_buffer buffer, Done done) override {
    socket_.async_write_some(buffer, std::move(done));
  }
  void end_writing(std::shared_ptr<void>) override {
    error_code ignored;
    ignored = socket_.shutdown(Socket::shutdown_send, ignored);
  }
  void close() override { close_socket(socket_); }

 private:
  Socket socket_;
};

class TlsStream final : public HttpStream {
 public:
  TlsStream(Socket socket, asio::ssl::context& context) : stream_(std::move(socket), context) {}

  void handshake(std::function<void(const error_code&)> done) override {
    stream_.async_handshake(asio::ssl::stream_base::server, std::move(done));
  }
  void read_some(asio::mutable_buffer buffer, Done done) override {
    stream_.async_read_some(buffer, std::move(done));
  }
  void write_some(asio::const_buffer buffer, Done done) override {
    stream_.async_write_some(buffer, std::move(done));
  }
  void end_writing(std::shared_ptr<void> owner) override {
    stream_.async_shutdown([owner = std::move(owner)](const error_code&) {});
  }
  void close() override { close_socket(stream_.next_layer()); }

 private:
  asio::ssl::stream<Socket> stream_;
};

[[noreturn]] void refuse_file(std::string_view what, const std::filesystem::path& path,
                              const error_code& why) {
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("the TLS {} '{}' cannot be used: {}", what, path.string(), why.message()),
              "both files must be PEM; the certificate file begins with the server's own");
}

}  // namespace

std::unique_ptr<HttpStream> make_plain_stream(Socket socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

std::unique_ptr<HttpStream> make_tls_stream(Socket socket, asio::ssl::context& context) {
  return std::make_unique<TlsStream>(std::move(socket), context);
}

std::unique_ptr<asio::ssl::context> make_tls_context(const TlsFiles& files) {
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  ::SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  // A client could make the server compute by asking again and again.
  ::SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  error_code error;
  error = context->use_certificate_chain_file(files.certificate.string(), error);
  if (error) refuse_file("certificate", files.certificate, error);
  error = context->use_private_key_file(files.key.string(), asio::ssl::context::pem, error);
  if (error) refuse_file("key", files.key, error);
  return context;
}

}  // namespace beryl::server
