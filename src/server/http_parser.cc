#include "server/http_parser.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace beryl::server {

size_t HttpParser::put(std::string_view bytes) {
  switch (state_) {
    case HttpParserState::kHead:
      return put_head(bytes);
    case HttpParserState::kBody:
      return put_body(bytes);
    default:
      return 0;
  }
}

void HttpParser::go_on() {
  BERYL_CHECK(state_ == HttpParserState::kHeadDone);
  state_ = head_.has_body() ? HttpParserState::kBody : HttpParserState::kDone;
  part_ = head_.is_chunked ? Part::kChunkSize : Part::kFixed;
  data_left_ = head_.content_length;
}

void HttpParser::reset() {
  state_ = HttpParserState::kHead;
  part_ = Part::kRequestLine;
  head_ = {};
  body_.clear();
  line_.clear();
  line_bytes_used_ = 0;
  header_count_ = 0;
  body_bytes_received_ = 0;
  has_begun_ = false;
  skipped_empty_line_ = false;
}

size_t HttpParser::put_head(std::string_view bytes) {
  size_t taken = 0;
  while (taken < bytes.size() && state_ == HttpParserState::kHead) {
    has_begun_ = true;
    if (add_to_line(bytes[taken++], line_bytes_max())) end_head_line();
  }
  return taken;
}

size_t HttpParser::put_body(std::string_view bytes) {
  size_t taken = 0;
  while (taken < bytes.size() && state_ == HttpParserState::kBody) {
    if (part_ == Part::kFixed || part_ == Part::kChunkData) {
      taken += take_data(bytes.substr(taken));
    } else if (add_to_line(bytes[taken++], line_bytes_max())) {
      end_body_line();
    }
  }
  body_bytes_received_ += taken;
  return taken;
}

size_t HttpParser::line_bytes_max() const {
  switch (part_) {
    case Part::kRequestLine:
      return limits_.request_line_bytes_max;
    case Part::kHeader:
      return limits_.header_bytes_max - line_bytes_used_;
    case Part::kTrailer:
      return limits_.trailer_bytes_max - line_bytes_used_;
    default:
      return limits_.chunk_line_bytes_max;
  }
}

bool HttpParser::add_to_line(char byte, size_t bytes_max) {
  const bool follows_cr = !line_.empty() && line_.back() == '\r';
  const auto value = static_cast<unsigned char>(byte);
  if (byte == '\n' && follows_cr) {
    line_.pop_back();
    return true;
  }
  if (follows_cr || byte == '\n') {
    refuse({.status = 400, .message = "a line does not end in CR LF"});
  } else if ((value < ' ' && byte != '\t' && byte != '\r') || value == 0x7f) {
    refuse({.status = 400, .message = "there is a control character"});
  } else if (line_.size() + (byte == '\r' ? 2 : 3) > bytes_max) {
    refuse_long_line();  // with what is left of its CR LF
  } else {
    line_ += byte;
  }
  return false;
}

void HttpParser::refuse_long_line() {
  switch (part_) {
    case Part::kRequestLine:
      return refuse({.status = 414, .message = "the request line is too long"});
    case Part::kHeader:
      return refuse({.status = 431, .message = "the headers are too long"});
    default:
      return refuse({.status = 400, .message = "what frames the chunks of the body is too long"});
  }
}

void HttpParser::end_head_line() {
  std::optional<HttpRefusal> refusal;
  if (part_ == Part::kRequestLine) {
    if (line_.empty() && !skipped_empty_line_) {
      skipped_empty_line_ = true;  // old clients end a body with a line of its own
      return;
    }
    refusal = read_request_line(line_, head_);
    part_ = Part::kHeader;
  } else if (line_.empty()) {
    refusal = finish_head(head_);
    if (!refusal && head_.content_length > limits_.body_bytes_max) {
      refusal = HttpRefusal{.status = 413, .message = "the body of the request is too long"};
    }
    state_ = HttpParserState::kHeadDone;
  } else if (++header_count_ > limits_.header_count_max) {
    refusal = HttpRefusal{.status = 431, .message = "there are too many headers"};
  } else {
    line_bytes_used_ += line_.size() + 2;
    refusal = read_header_line(line_, head_);
  }
  line_.clear();
  if (refusal) refuse(*std::move(refusal));
}

void HttpParser::end_body_line() {
  switch (part_) {
    case Part::kChunkSize:
      end_chunk_size();
      break;
    case Part::kChunkEnd:
      if (!line_.empty()) return refuse({.status = 400, .message = "a chunk is longer than its size says"});
      part_ = Part::kChunkSize;
      break;
    default:  // a trailer
      if (line_.empty()) {
        state_ = HttpParserState::kDone;
        break;
      }
      line_bytes_used_ += line_.size() + 2;
      HttpHead ignored;
      if (auto refusal = read_header_line(line_, ignored)) return refuse(*std::move(refusal));
  }
  line_.clear();
}

void HttpParser::end_chunk_size() {
  const std::optional<uint64_t> size = read_chunk_size(line_);
  if (!size) return refuse({.status = 400, .message = "the size of a chunk is malformed"});
  if (*size > limits_.body_bytes_max - body_.size()) {
    return refuse({.status = 413, .message = "the body of the request is too long"});
  }
  data_left_ = *size;
  part_ = *size > 0 ? Part::kChunkData : Part::kTrailer;
  line_bytes_used_ = 0;
}

size_t HttpParser::take_data(std::string_view bytes) {
  const size_t taken = std::min<uint64_t>(bytes.size(), data_left_);
  body_.append(bytes.substr(0, taken));
  data_left_ -= taken;
  if (data_left_ == 0) {
    if (part_ == Part::kFixed) state_ = HttpParserState::kDone;
    part_ = Part::kChunkEnd;
  }
  return taken;
}

void HttpParser::refuse(HttpRefusal refusal) {
  refusal_ = std::move(refusal);
  state_ = HttpParserState::kRefused;
}

}  // namespace beryl::server
