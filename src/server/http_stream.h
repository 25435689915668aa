// A connection's bytes, plain or through TLS, over TCP or a Unix-domain socket.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>

namespace boost::asio::ssl {
class context;
}

namespace beryl::server {

using Socket = boost::asio::generic::stream_protocol::socket;

// Completions are called on the socket's executor, never from within the call that starts the operation. At
// most one read and one write at a time; the stream must live until they have completed.
class HttpStream {
 public:
  using Done = std::function<void(const boost::system::error_code&, size_t)>;

  virtual ~HttpStream() = default;
  virtual void handshake(std::function<void(const boost::system::error_code&)> done) = 0;
  virtual void read_some(boost::asio::mutable_buffer buffer, Done done) = 0;
  virtual void write_some(boost::asio::const_buffer buffer, Done done) = 0;
  // Tells the other side that nothing more will come. `owner` is kept until that is done.
  virtual void end_writing(std::shared_ptr<void> owner) = 0;
  // Ends both directions; pending operations complete with an error.
  virtual void close() = 0;
};

std::unique_ptr<HttpStream> make_plain_stream(Socket socket);
// Borrows the context.
std::unique_ptr<HttpStream> make_tls_stream(Socket socket, boost::asio::ssl::context& context);

struct TlsFiles {
  std::filesystem::path certificate;  // PEM, the server's first, then those that sign it
  std::filesystem::path key;          // PEM
};

// TLS 1.2 and newer. Errors: kInvalidInput naming the file that cannot be used, or when they do not belong to
// each other.
std::unique_ptr<boost::asio::ssl::context> make_tls_context(const TlsFiles& files);

}  // namespace beryl::server
