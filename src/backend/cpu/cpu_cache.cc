#include "backend/cpu/cpu_cache.h"

#include <cstring>

#include "base/check.h"

namespace beryl::backend {
namespace {

int64_t pages_of(const CacheShape& shape, LayerKind kind) {
  return kind == LayerKind::kSliding ? shape.sliding_pages : shape.full_pages;
}

// Numbers of one side of one layer.
int64_t layer_numbers(const CacheShape& shape, const CacheLayer& layer) {
  return pages_of(shape, layer.kind) * shape.tokens_per_page * layer.kv_heads * layer.head_dim;
}

}  // namespace

CpuCache::CpuCache(const CacheShape& shape, Compute compute)
    : shape_(shape), compute_(compute), arena_(bytes(shape, compute)) {
  std::byte* next = arena_.data();
  for (const CacheLayer& layer : shape.layers) {
    for (int side = 0; side < 2; ++side) {
      storages_.push_back(next);
      next += layer_numbers(shape, layer) * number_bytes();
    }
  }
}

uint64_t CpuCache::bytes(const CacheShape& shape, Compute compute) {
  uint64_t numbers = 0;
  for (const CacheLayer& layer : shape.layers)
    numbers += 2 * static_cast<uint64_t>(layer_numbers(shape, layer));
  return numbers * (compute == Compute::kBf16 ? 2 : 4);
}

std::byte* CpuCache::vectors(int64_t layer, Side side, int32_t page, int64_t kv_head) {
  const CacheLayer& shape = shape_.layers[static_cast<size_t>(layer)];
  BERYL_CHECK(page >= 0 && page < pages_of(shape_, shape.kind) && kv_head < shape.kv_heads);
  const int64_t index = (page * shape.kv_heads + kv_head) * shape_.tokens_per_page * shape.head_dim;
  return storages_[static_cast<size_t>(layer * 2 + (side == Side::kValues ? 1 : 0))] + index * number_bytes();
}

const std::byte* CpuCache::vectors(int64_t layer, Side side, int32_t page, int64_t kv_head) const {
  return const_cast<CpuCache&>(*this).vectors(layer, side, page, kv_head);
}

void CpuCache::copy_page(LayerKind kind, int32_t from, int32_t to) {
  for (size_t layer = 0; layer < shape_.layers.size(); ++layer) {
    const CacheLayer& shape = shape_.layers[layer];
    if (shape.kind != kind) continue;
    // The heads of a page lie in a row.
    const int64_t bytes = shape.kv_heads * shape_.tokens_per_page * shape.head_dim * number_bytes();
    for (const Side side : {Side::kKeys, Side::kValues}) {
      const auto index = static_cast<int64_t>(layer);
      std::memcpy(vectors(index, side, to, 0), vectors(index, side, from, 0), static_cast<size_t>(bytes));
    }
  }
}

}  // namespace beryl::backend
