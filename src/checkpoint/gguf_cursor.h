// Reads the header of a GGUF file from the front, fetching bytes as they are needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "checkpoint/gguf.h"

namespace beryl::checkpoint {

class GgufCursor {
 public:
  GgufCursor(const ReadBytes& read, uint64_t file_bytes, uint64_t header_bytes_max)
      : read_(read), file_bytes_(file_bytes), header_bytes_max_(header_bytes_max) {}

  uint64_t position() const { return position_; }
  uint64_t file_bytes() const { return file_bytes_; }
  // Bytes that the header may still take.
  uint64_t remaining() const;

  // The next number, little-endian. Errors: kInvalidInput when the file ends before that.
  template <typename T>
  T number();
  // A string with its length before it. The view lives until the next call. Errors: as above, and when it is
  // longer than `bytes_max`.
  std::string_view string(uint64_t bytes_max);
  // Errors: as above.
  void skip(uint64_t bytes);

  // All bytes up to the position.
  std::string take_header();

 private:
  // Makes the next `bytes` bytes available in header_.
  void require(uint64_t bytes);

  const ReadBytes& read_;
  uint64_t file_bytes_;
  uint64_t header_bytes_max_;
  std::string header_;
  uint64_t position_ = 0;
};

extern template uint8_t GgufCursor::number<uint8_t>();
extern template uint32_t GgufCursor::number<uint32_t>();
extern template uint64_t GgufCursor::number<uint64_t>();

}  // namespace beryl::checkpoint
