#include "backend/cpu/cpu_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace beryl::backend {
namespace {

const CacheShape kShape = {.layers = {{LayerKind::kSliding, 2, 16}, {LayerKind::kFull, 1, 32}},
                           .tokens_per_page = 4,
                           .sliding_pages = 3,
                           .full_pages = 2};

// Gives every vector of the page a value of its own.
void fill(CpuCache& cache, int64_t layer, int32_t page, float first) {
  const CacheLayer& shape = kShape.layers[static_cast<size_t>(layer)];
  for (const auto side : {CpuCache::Side::kKeys, CpuCache::Side::kValues}) {
    for (int64_t head = 0; head < shape.kv_heads; ++head) {
      const std::vector<float> values(static_cast<size_t>(4 * shape.head_dim), first++);
      std::memcpy(cache.vectors(layer, side, page, head), values.data(), values.size() * sizeof(float));
    }
  }
}

// The first number of each vector of the page.
std::vector<float> read(const CpuCache& cache, int64_t layer, int32_t page) {
  const CacheLayer& shape = kShape.layers[static_cast<size_t>(layer)];
  std::vector<float> firsts;
  for (const auto side : {CpuCache::Side::kKeys, CpuCache::Side::kValues}) {
    for (int64_t head = 0; head < shape.kv_heads; ++head) {
      for (int64_t i : {int64_t{0}, 4 * shape.head_dim - 1}) {
        float value = 0;
        std::memcpy(&value, cache.vectors(layer, side, page, head) + i * 4, sizeof(value));
        firsts.push_back(value);
      }
    }
  }
  return firsts;
}

TEST(CpuCacheTest, CopiesAPageInTheLayersOfItsKindAlone) {
  CpuCache cache(kShape, Compute::kF32);
  for (int32_t page = 0; page < 3; ++page) fill(cache, 0, page, static_cast<float>(10 * page + 1));
  for (int32_t page = 0; page < 2; ++page) fill(cache, 1, page, static_cast<float>(100 * page + 100));
  cache.copy_page(LayerKind::kSliding, 0, 1);
  EXPECT_EQ(read(cache, 0, 0), (std::vector<float>{1, 1, 2, 2, 3, 3, 4, 4}));
  EXPECT_EQ(read(cache, 0, 1), read(cache, 0, 0));
  EXPECT_EQ(read(cache, 0, 2), (std::vector<float>{21, 21, 22, 22, 23, 23, 24, 24}));
  EXPECT_EQ(read(cache, 1, 0), (std::vector<float>{100, 100, 101, 101}));
  EXPECT_EQ(read(cache, 1, 1), (std::vector<float>{200, 200, 201, 201}));
  cache.copy_page(LayerKind::kFull, 1, 0);
  EXPECT_EQ(read(cache, 1, 0), read(cache, 1, 1));
}

}  // namespace
}  // namespace beryl::backend
