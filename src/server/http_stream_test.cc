// The same server over TLS and over a Unix-domain socket.
#include "server/http_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/un.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"
#include "server/http_server.h"
#include "server/http_server_for_tests.h"

namespace beryl::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

// A certificate that signs itself, and its key.
TlsFiles make_tls_files(const TemporaryDirectory& folder) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  ::X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  ::X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  ::X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* name = ::X509_get_subject_name(certificate.get());
  ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"),
                               -1, -1, 0);
  ::X509_set_issuer_name(certificate.get(), name);
  ::X509_sign(certificate.get(), key.get(), EVP_sha256());
  const auto pem = [](auto write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), BIO_free);
    write(memory.get());
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(memory.get(), &bytes);
    return std::string(bytes, static_cast<size_t>(size));
  };
  return {.certificate =
              folder.write("cert.pem", pem([&](BIO* out) { ::PEM_write_bio_X509(out, certificate.get()); })),
          .key = folder.write("key.pem", pem([&](BIO* out) {
                                ::PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr,
                                                           nullptr);
                              }))};
}

template <typename Stream>
http::response<http::string_body> get(Stream& stream, const std::string& path,
                                      const std::string& connection) {
  http::request<http::empty_body> request(http::verb::get, path, 11);
  request.set(http::field::host, "localhost");
  request.set(http::field::connection, connection);
  http::write(stream, request);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  http::read(stream, buffer, response);
  return response;
}

struct TlsClient {
  explicit TlsClient(uint16_t port) {
    stream.next_layer().connect({asio::ip::make_address("127.0.0.1"), port});
    stream.handshake(asio::ssl::stream_base::client);
  }
  asio::io_context io;
  asio::ssl::context context{asio::ssl::context::tls_client};
  asio::ssl::stream<asio::ip::tcp::socket> stream{io, context};
};

TEST(HttpStream, ServesThroughTls) {
  const TemporaryDirectory folder;
  HttpServerOptions options = options_for_tests();
  options.tls = make_tls_files(folder);
  HttpServer server(std::move(options), echo_handler());
  EXPECT_THAT(server.url(), ::testing::StartsWith("https://127.0.0.1:"));
  TlsClient client(server.port());
  EXPECT_EQ(get(client.stream, "/one", "keep-alive").body(), "GET /one? ");
  EXPECT_EQ(get(client.stream, "/two", "close").body(), "GET /two? ");
  // An orderly end: the client knows that nothing was cut off.
  char byte = 0;
  boost::system::error_code error;
  client.stream.read_some(asio::buffer(&byte, 1), error);
  EXPECT_EQ(error, asio::error::eof) << error.message();
}

TEST(HttpStream, NoticesThroughTlsThatTheClientIsGone) {
  const TemporaryDirectory folder;
  HttpServerOptions options = options_for_tests();
  options.tls = make_tls_files(folder);
  HeldRequests held;
  HttpServer server(std::move(options), held.handler());
  std::shared_ptr<HttpResponder> responder;
  {
    TlsClient client(server.port());
    http::request<http::empty_body> request(http::verb::get, "/", 11);
    request.set(http::field::host, "localhost");
    http::write(client.stream, request);
    responder = held.take().responder;
    ASSERT_TRUE(responder);
    responder->begin_stream({});
    responder->write("some");
  }
  EXPECT_TRUE(held.wait_for_gone(1));
}

TEST(HttpStream, EndsConnectionsThatDoNotSpeakTls) {
  const TemporaryDirectory folder;
  HttpServerOptions options = options_for_tests();
  options.tls = make_tls_files(folder);
  options.limits.header_time_max = std::chrono::milliseconds(200);
  HttpServer server(std::move(options), echo_handler());
  asio::io_context io;
  asio::ip::tcp::socket plain(io);
  asio::ip::tcp::socket silent(io);
  for (auto* socket : {&plain, &silent})
    socket->connect({asio::ip::make_address("127.0.0.1"), server.port()});
  asio::write(plain, asio::buffer(std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n")));
  EXPECT_TRUE(eventually(
      [&] { return server.figures().connections_accepted == 2 && server.figures().connections_open == 0; }));
}

TEST(HttpStream, NamesTlsFilesThatCannotBeUsed) {
  const TemporaryDirectory folder;
  const TlsFiles files = make_tls_files(folder);
  const TemporaryDirectory other_folder;
  const TlsFiles others = make_tls_files(other_folder);
  const auto refusal = [](const TlsFiles& wrong) -> std::string {
    try {
      make_tls_context(wrong);
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  };
  EXPECT_EQ(refusal(files), "");
  EXPECT_THAT(refusal({.certificate = folder.path() / "absent", .key = files.key}),
              ::testing::HasSubstr("absent"));
  EXPECT_THAT(refusal({.certificate = files.certificate, .key = folder.write("bad.pem", "no key")}),
              ::testing::HasSubstr("bad.pem"));
  EXPECT_THAT(refusal({.certificate = files.certificate, .key = others.key}),
              ::testing::HasSubstr("key.pem"));
}

TEST(HttpStream, ServesThroughAUnixSocket) {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "socket";
  {
    HttpServerOptions options = options_for_tests();
    options.unix_socket = path;
    HttpServer server(std::move(options), echo_handler());
    EXPECT_EQ(server.url(), "unix:" + path.string());
    EXPECT_EQ(std::filesystem::status(path).permissions() & std::filesystem::perms::others_all,
              std::filesystem::perms::none);
    asio::io_context io;
    asio::local::stream_protocol::socket client(io);
    client.connect(asio::local::stream_protocol::endpoint(path.string()));
    EXPECT_EQ(get(client, "/one", "close").body(), "GET /one? ");
    HttpServerOptions again = options_for_tests();
    again.unix_socket = path;
    EXPECT_THROW(HttpServer(again, echo_handler()), Error);  // it is in use
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

// What is there and is no socket of an earlier run stays.
TEST(HttpStream, DeletesNoFileForAUnixSocket) {
  const TemporaryDirectory folder;
  HttpServerOptions options = options_for_tests();
  options.unix_socket = folder.write("precious", "data");
  EXPECT_THROW(HttpServer(options, echo_handler()), Error);
  EXPECT_TRUE(std::filesystem::exists(options.unix_socket));
  options.unix_socket = std::string(200, 'a');  // longer than the system takes
  EXPECT_THROW(HttpServer(options, echo_handler()), Error);
}

}  // namespace
}  // namespace beryl::server
