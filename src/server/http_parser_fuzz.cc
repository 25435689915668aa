// Fuzzes the boundary to the network. Properties: where the bytes are cut makes no difference; a request that
// is accepted is within the limits; and when Beast's parser accepts it, too, it reads the same.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "server/http_parser.h"
#include "server/limits.h"

namespace {

using namespace beryl::server;
namespace http = boost::beast::http;

// Small, so that the input gets near them.
constexpr HttpLimits kLimits = {.request_line_bytes_max = 128,
                                .header_bytes_max = 256,
                                .header_count_max = 6,
                                .body_bytes_max = 64,
                                .chunk_line_bytes_max = 24,
                                .trailer_bytes_max = 40};

// Reads one request in pieces, each as long as the next byte of `cuts` says; without cuts, all at once.
// Returns how many bytes were taken.
size_t read(HttpParser& parser, std::string_view bytes, std::string_view cuts) {
  size_t taken = 0;
  for (size_t i = 0; taken < bytes.size(); ++i) {
    const size_t piece =
        cuts.empty() ? bytes.size() : 1 + static_cast<unsigned char>(cuts[i % cuts.size()]) % 32;
    taken += parser.put(bytes.substr(taken, piece));
    if (parser.state() == HttpParserState::kHeadDone) parser.go_on();
    if (parser.state() == HttpParserState::kDone || parser.state() == HttpParserState::kRefused) break;
  }
  return taken;
}

void check_same(HttpParser& whole, HttpParser& cut) {
  BERYL_CHECK(whole.state() == cut.state());
  BERYL_CHECK(whole.refusal().status == cut.refusal().status);
  BERYL_CHECK(whole.refusal().message == cut.refusal().message);
  if (whole.state() == HttpParserState::kRefused) return;
  BERYL_CHECK(whole.head().method == cut.head().method);
  BERYL_CHECK(whole.head().path == cut.head().path);
  BERYL_CHECK(whole.head().query == cut.head().query);
  BERYL_CHECK(whole.head().headers == cut.head().headers);
  BERYL_CHECK(whole.body() == cut.body());
}

void check_limits(HttpParser& parser) {
  const HttpHead& head = parser.head();
  BERYL_CHECK(parser.body().size() <= kLimits.body_bytes_max);
  BERYL_CHECK(head.headers.size() <= kLimits.header_count_max);
  BERYL_CHECK(!(head.headers.contains("content-length") && head.headers.contains("transfer-encoding")));
  if (!head.is_chunked) BERYL_CHECK(parser.body().size() == head.content_length);
  for (const auto& [name, value] : head.headers) {
    BERYL_CHECK(is_token(name));
    BERYL_CHECK(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }
}

void compare_with_beast(HttpParser& parser, std::string_view bytes) {
  if (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
  http::request_parser<http::string_body> beast;
  beast.eager(true);
  boost::system::error_code error;
  const size_t taken = beast.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  if (error || !beast.is_done()) return;  // it refuses odd lists in headers and chunks that mean nothing here
  const HttpHead& head = parser.head();
  const auto& request = beast.get();
  const std::string target = head.query.empty() && bytes.find('?') == std::string_view::npos
                                 ? head.path
                                 : std::string(request.target().data(), request.target().size());
  BERYL_CHECK(taken == bytes.size());
  BERYL_CHECK(std::string_view(request.method_string().data(), request.method_string().size()) ==
              head.method);
  BERYL_CHECK(std::string_view(request.target().data(), request.target().size()) == target);
  BERYL_CHECK(request.body() == parser.body());
  BERYL_CHECK(beast.chunked() == head.is_chunked);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view cuts =
      input.substr(0, input.empty() ? 0 : 1 + static_cast<unsigned char>(input[0]) % 8);
  const std::string_view bytes = input.substr(cuts.size());
  HttpParser whole(kLimits);
  HttpParser cut(kLimits);
  const size_t taken = read(whole, bytes, {});
  read(cut, bytes, cuts);
  check_same(whole, cut);
  if (whole.state() == HttpParserState::kDone) {
    check_limits(whole);
    compare_with_beast(whole, bytes.substr(0, taken));
  }
  return 0;
}
