#include "checkpoint/gguf_cursor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/error.h"

namespace beryl::checkpoint {
namespace {

// Bytes fetched first; each further fetch doubles what is there.
constexpr uint64_t kFirstFetch = uint64_t{256} << 10;

}  // namespace

uint64_t GgufCursor::remaining() const {
  const uint64_t end = std::min(file_bytes_, header_bytes_max_);
  return end - std::min(end, position_);
}

void GgufCursor::require(uint64_t bytes) {
  if (bytes > file_bytes_ - position_) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("the file ends inside its header: {} bytes are missing at byte {}",
                            bytes - (file_bytes_ - position_), position_),
                "the download is incomplete: download the file again");
  }
  if (bytes > remaining()) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("the header takes more than the {} bytes that are allowed", header_bytes_max_),
                "the file is damaged: download it again");
  }
  const uint64_t end = position_ + bytes;
  if (end <= header_.size()) return;
  const uint64_t have = header_.size();
  const uint64_t wanted = std::max({end, 2 * have, kFirstFetch});
  header_.resize(std::min({wanted, file_bytes_, header_bytes_max_}));
  read_(have, std::as_writable_bytes(std::span(header_)).subspan(have));
}

template <typename T>
T GgufCursor::number() {
  require(sizeof(T));
  T value;
  std::memcpy(&value, header_.data() + position_, sizeof(T));
  position_ += sizeof(T);
  return value;
}

template uint8_t GgufCursor::number<uint8_t>();
template uint32_t GgufCursor::number<uint32_t>();
template uint64_t GgufCursor::number<uint64_t>();

std::string_view GgufCursor::string(uint64_t bytes_max) {
  const auto length = number<uint64_t>();
  if (length > bytes_max) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("a string of {} bytes at byte {}, at most {} are allowed", length,
                            position_ - sizeof(uint64_t), bytes_max),
                "the file is damaged: download it again");
  }
  require(length);
  const std::string_view text = std::string_view(header_).substr(position_, length);
  position_ += length;
  return text;
}

void GgufCursor::skip(uint64_t bytes) {
  require(bytes);
  position_ += bytes;
}

std::string GgufCursor::take_header() {
  header_.resize(position_);
  return std::move(header_);
}

}  // namespace beryl::checkpoint
