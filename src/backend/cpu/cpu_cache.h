// Keys and values of all sequences, in pages: bf16 in bf16 mode, float32 in f32 mode.
//
// Storage of one layer and side (keys or values): [pages][kv_heads][tokens_per_page][head_dim], so that the
// keys of one head in one page lie in a row. Memory becomes resident when it is first written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/weight_arena.h"

namespace beryl::backend {

class CpuCache final : public Cache {
 public:
  enum class Side : uint8_t { kKeys, kValues };

  // Errors: kResource.
  CpuCache(const CacheShape& shape, Compute compute);

  static uint64_t bytes(const CacheShape& shape, Compute compute);

  const CacheShape& shape() const { return shape_; }
  Compute compute() const { return compute_; }
  // Of one number.
  int64_t number_bytes() const { return compute_ == Compute::kBf16 ? 2 : 4; }

  // The vectors of one head in one page: [tokens_per_page, head_dim] numbers, uint16_t that hold bf16 in bf16
  // mode, float otherwise. Checks the page number, a promise of the caller.
  std::byte* vectors(int64_t layer, Side side, int32_t page, int64_t kv_head);
  const std::byte* vectors(int64_t layer, Side side, int32_t page, int64_t kv_head) const;

  // As Backend::copy_page().
  void copy_page(LayerKind kind, int32_t from, int32_t to);

 private:
  CacheShape shape_;
  Compute compute_;
  WeightArena arena_;
  std::vector<std::byte*> storages_;  // [layer][side]
};

}  // namespace beryl::backend
