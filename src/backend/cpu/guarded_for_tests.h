// Memory between two pages that may not be touched, so that a kernel that reads or writes past either end
// of its rows crashes the test.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <vector>

namespace beryl::backend {

// `count` numbers that end right before a forbidden page, or begin right behind one.
template <typename T>
class Guarded {
 public:
  enum class Side : uint8_t { kEnd, kBegin };

  Guarded(size_t count, Side side) : count_(count) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t inner = (count * sizeof(T) + page - 1) / page * page;
    bytes_ = inner + 2 * page;
    mapping_ = static_cast<std::byte*>(
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (mapping_ == MAP_FAILED) throw std::bad_alloc();
    ::mprotect(mapping_, page, PROT_NONE);
    ::mprotect(mapping_ + page + inner, page, PROT_NONE);
    const size_t before = side == Side::kBegin ? 0 : inner - count * sizeof(T);
    data_ = reinterpret_cast<T*>(mapping_ + page + before);
  }
  Guarded(const std::vector<T>& values, Side side) : Guarded(values.size(), side) {
    if (!values.empty()) std::memcpy(data_, values.data(), values.size() * sizeof(T));
  }
  ~Guarded() { ::munmap(mapping_, bytes_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  std::span<const T> values() const { return {data_, count_}; }

 private:
  size_t count_;
  size_t bytes_ = 0;
  std::byte* mapping_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace beryl::backend
