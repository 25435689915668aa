// Memory of one render, freed all at once.
//
// Values of a template (value.h) are plain handles to objects in here. Nothing is freed before the render
// ends, so handles never dangle, cycles do no harm, and a single budget bounds both the memory and the
// copying work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

namespace beryl::text {

class Arena {
 public:
  explicit Arena(uint64_t bytes_max) : bytes_left_(bytes_max) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // `count` value-initialised objects. Errors: kResource when the budget is spent, as all functions here.
  template <typename T>
  T* make_array(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>, "the arena runs no destructors");
    // First the memory: GCC checks the length of a new-expression before it looks at the placement.
    void* const memory = allocate(count, sizeof(T), alignof(T));
    return new (memory) T[count]();
  }

  template <typename T>
  T* make(T object) {
    static_assert(std::is_trivially_destructible_v<T>, "the arena runs no destructors");
    return new (allocate(1, sizeof(T), alignof(T))) T(object);
  }

  std::string_view copy(std::string_view text);

  // Spends budget for bytes that live elsewhere.
  void charge(uint64_t bytes);

 private:
  void* allocate(size_t count, size_t size, size_t alignment);

  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::byte* next_ = nullptr;
  size_t chunk_left_ = 0;
  uint64_t bytes_left_;
};

}  // namespace beryl::text
