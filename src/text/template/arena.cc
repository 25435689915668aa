#include "text/template/arena.h"

#include <algorithm>
#include <cstring>

#include "base/checked_math.h"
#include "base/error.h"

namespace beryl::text {
namespace {

constexpr size_t kChunkBytes = size_t{64} * 1024;

size_t bytes_to_align(const std::byte* pointer, size_t alignment) {
  const size_t past = reinterpret_cast<uintptr_t>(pointer) % alignment;
  return past == 0 ? 0 : alignment - past;
}

}  // namespace

void Arena::charge(uint64_t bytes) {
  if (bytes > bytes_left_) {
    throw Error(ErrorCode::kResource, "the template uses too much memory",
                "the conversation is too long for this template, or the template copies it without end");
  }
  bytes_left_ -= bytes;
}

void* Arena::allocate(size_t count, size_t size, size_t alignment) {
  const uint64_t bytes = checked_mul(count, size).value_or(UINT64_MAX);
  charge(bytes);
  size_t padding = bytes_to_align(next_, alignment);
  if (next_ == nullptr || bytes + padding > chunk_left_) {
    chunk_left_ = std::max<size_t>(kChunkBytes, bytes);
    chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(chunk_left_));
    next_ = chunks_.back().get();
    padding = 0;
  }
  std::byte* const result = next_ + padding;
  next_ = result + bytes;
  chunk_left_ -= bytes + padding;
  return result;
}

std::string_view Arena::copy(std::string_view text) {
  if (text.empty()) return {};
  char* const bytes = make_array<char>(text.size());
  std::memcpy(bytes, text.data(), text.size());
  return {bytes, text.size()};
}

}  // namespace beryl::text
