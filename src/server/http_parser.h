// Reads one HTTP/1.x request after another from bytes that arrive in pieces. Where the pieces are cut makes
// no difference. Beast's parser is not used here since it accepts folded headers and lists of codings, merges
// trailers into headers, and differs between its versions in what it refuses; the fuzz target holds this one
// against it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/http_head.h"
#include "server/limits.h"

namespace beryl::server {

enum class HttpParserState : uint8_t {
  kHead,      // wants more of the head
  kHeadDone,  // stopped there: go_on() to read the body
  kBody,      // wants more of the body
  kDone,      // the request is complete
  kRefused,   // refusal() says why; nothing more is read
};

class HttpParser {
 public:
  explicit HttpParser(const HttpLimits& limits) : limits_(limits) {}

  // Takes bytes from the front of `bytes` and returns how many. Fewer than all: the state has become
  // kHeadDone, kDone or kRefused, in which nothing is taken.
  size_t put(std::string_view bytes);
  // After kHeadDone: the body, if there is one.
  void go_on();
  // Makes ready for the next request.
  void reset();

  HttpParserState state() const { return state_; }
  // Whether anything of the request has come.
  bool has_begun() const { return has_begun_; }
  HttpHead& head() { return head_; }
  std::string& body() { return body_; }
  // Of the body as it is sent, with what frames its chunks.
  uint64_t body_bytes_received() const { return body_bytes_received_; }
  const HttpRefusal& refusal() const { return refusal_; }

 private:
  enum class Part : uint8_t { kRequestLine, kHeader, kFixed, kChunkSize, kChunkData, kChunkEnd, kTrailer };

  size_t put_head(std::string_view bytes);
  size_t put_body(std::string_view bytes);
  // Adds a byte to the line; true when it completes it.
  bool add_to_line(char byte, size_t bytes_max);
  size_t line_bytes_max() const;
  void end_head_line();
  void end_body_line();
  void end_chunk_size();
  size_t take_data(std::string_view bytes);
  void refuse(HttpRefusal refusal);
  void refuse_long_line();

  const HttpLimits& limits_;
  HttpParserState state_ = HttpParserState::kHead;
  Part part_ = Part::kRequestLine;
  HttpHead head_;
  std::string body_;
  HttpRefusal refusal_;
  std::string line_;            // so far, with the CR when it has come
  size_t line_bytes_used_ = 0;  // of earlier header or trailer lines
  size_t header_count_ = 0;
  uint64_t data_left_ = 0;  // of a fixed body or a chunk
  uint64_t body_bytes_received_ = 0;
  bool has_begun_ = false;
  bool skipped_empty_line_ = false;
};

}  // namespace beryl::server
