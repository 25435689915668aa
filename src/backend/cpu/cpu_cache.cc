#include "backend/cpu/cpu_cache.h"

#include <algorithm>

#include "base/check.h"
#include "base/number_types.h"

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

CpuCache::CpuCache(const CacheShape& shape, Compute compute) : shape_(shape), compute_(compute) {
  storages_.resize(shape.layers.size() * 2);
  for (size_t i = 0; i < storages_.size(); ++i) {
    const auto numbers = static_cast<size_t>(layer_numbers(shape, shape.layers[i / 2]));
    if (compute == Compute::kBf16) {
      storages_[i].bf16.resize(numbers);
    } else {
      storages_[i].f32.resize(numbers);
    }
  }
}

uint64_t CpuCache::bytes(const CacheShape& shape, Compute compute) {
  uint64_t numbers = 0;
  for (const CacheLayer& layer : shape.layers)
    numbers += 2 * static_cast<uint64_t>(layer_numbers(shape, layer));
  return numbers * (compute == Compute::kBf16 ? 2 : 4);
}

const CpuCache::Storage& CpuCache::storage(int64_t layer, Side side) const {
  return storages_[static_cast<size_t>(layer * 2 + (side == Side::kValues ? 1 : 0))];
}

size_t CpuCache::offset(int64_t layer, int32_t page, int64_t slot) const {
  const CacheLayer& shape = shape_.layers[static_cast<size_t>(layer)];
  BERYL_CHECK(page >= 0 && page < pages_of(shape_, shape.kind));
  return static_cast<size_t>((page * shape_.tokens_per_page + slot) * shape.kv_heads * shape.head_dim);
}

void CpuCache::write(int64_t layer, Side side, int32_t page, int64_t slot, std::span<const float> heads) {
  auto& to = const_cast<Storage&>(storage(layer, side));
  const size_t first = offset(layer, page, slot);
  if (compute_ == Compute::kF32) {
    std::copy(heads.begin(), heads.end(), to.f32.begin() + static_cast<std::ptrdiff_t>(first));
  } else {
    std::transform(heads.begin(), heads.end(), to.bf16.begin() + static_cast<std::ptrdiff_t>(first),
                   float_to_bf16);
  }
}

void CpuCache::read(int64_t layer, Side side, int32_t page, int64_t slot, int64_t kv_head,
                    std::span<float> out) const {
  const Storage& from = storage(layer, side);
  const size_t first = offset(layer, page, slot) + static_cast<size_t>(kv_head) * out.size();
  if (compute_ == Compute::kF32) {
    std::copy_n(from.f32.begin() + static_cast<std::ptrdiff_t>(first), out.size(), out.begin());
  } else {
    std::transform(from.bf16.begin() + static_cast<std::ptrdiff_t>(first),
                   from.bf16.begin() + static_cast<std::ptrdiff_t>(first + out.size()), out.begin(),
                   bf16_to_float);
  }
}

}  // namespace beryl::backend
