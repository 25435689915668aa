// Anonymous memory for weights: one mapping, in 2 MiB pages where the system grants them.
//
// Not a mapped file: idle file pages are evicted first when memory is short, and a file that shrinks kills
// its reader.
#pragma once

#include <cstddef>
#include <cstdint>

namespace beryl::backend {

class WeightArena {
 public:
  // Reserves `bytes`; pages become resident when they are first written. Errors: kResource.
  explicit WeightArena(uint64_t bytes);
  ~WeightArena();
  WeightArena(const WeightArena&) = delete;
  WeightArena& operator=(const WeightArena&) = delete;

  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  void* mapping_ = nullptr;
  uint64_t mapped_bytes_ = 0;
};

}  // namespace beryl::backend
