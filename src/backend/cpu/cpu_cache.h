// Keys and values of all sequences, in pages: bf16 in bf16 mode, float32 in f32 mode.
//
// Storage of one layer and side (keys or values): [pages][tokens_per_page][kv_heads][head_dim].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"

namespace beryl::backend {

class CpuCache final : public Cache {
 public:
  enum class Side : uint8_t { kKeys, kValues };

  CpuCache(const CacheShape& shape, Compute compute);

  static uint64_t bytes(const CacheShape& shape, Compute compute);

  const CacheShape& shape() const { return shape_; }

  // Stores the vectors of all kv heads of one token, [kv_heads, head_dim], rounded to bf16 in bf16 mode.
  void write(int64_t layer, Side side, int32_t page, int64_t slot, std::span<const float> heads);
  // Reads the vector of one token and head into out, [head_dim].
  void read(int64_t layer, Side side, int32_t page, int64_t slot, int64_t kv_head,
            std::span<float> out) const;

 private:
  struct Storage {
    std::vector<uint16_t> bf16;  // used in bf16 mode
    std::vector<float> f32;      // used in f32 mode
  };

  const Storage& storage(int64_t layer, Side side) const;
  // Index of the first number of a token's vectors. Checks the page number, a promise of the caller.
  size_t offset(int64_t layer, int32_t page, int64_t slot) const;

  CacheShape shape_;
  Compute compute_;
  std::vector<Storage> storages_;  // [layer][side]
};

}  // namespace beryl::backend
