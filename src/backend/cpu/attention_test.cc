// attend() against a softmax over all visible keys at once, in double.

#include "backend/cpu/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "backend/cpu/packed_for_tests.h"
#include "base/number_types.h"

namespace beryl::backend {
namespace {

struct Case {
  int64_t head_dim = 16;
  int64_t heads = 1;
  int64_t kv_heads = 1;
  int64_t positions = 1;  // cached; the last one is asked about
  int64_t tokens_per_page = 16;
  int64_t window = 0;  // 0: a full layer
  Compute compute = Compute::kF32;
};

// One sequence in a cache whose pages lie in random order. Pages before the window are missing (-1), and all
// memory that is not the sequence's holds NaN.
class CachedSequence {
 public:
  explicit CachedSequence(const Case& test) : case_(test), cache_(shape(test), test.compute) {
    layer_ = {.kind = test.window > 0 ? LayerKind::kSliding : LayerKind::kFull,
              .heads = test.heads,
              .kv_heads = test.kv_heads,
              .head_dim = test.head_dim,
              .window = test.window,
              .cache_layer = 1};
    std::mt19937 random(11);
    pages_.resize(static_cast<size_t>(page_count(test)));
    std::iota(pages_.begin(), pages_.end(), 1);
    std::shuffle(pages_.begin(), pages_.end(), random);
    keys_ = random_floats(test.positions * width(), 1);
    values_ = random_floats(test.positions * width(), 2);
    // Scores of ordinary spread whatever the head size.
    for (float& key : keys_) key *= 2.0F / std::sqrt(static_cast<float>(test.head_dim));
    fill();
  }

  std::vector<float> attend_all(const std::vector<float>& q) const {
    std::vector<float> out(q.size());
    const int64_t group = case_.heads / case_.kv_heads * case_.head_dim;
    AttentionScratch scratch;
    for (int64_t kv_head = 0; kv_head < case_.kv_heads; ++kv_head) {
      attend(kernels_of(Isa::kPortable),
             {.layer = &layer_,
              .cache = &cache_,
              .pages = pages_,
              .compute = case_.compute,
              .position = case_.positions - 1,
              .kv_head = kv_head,
              .q = q.data() + kv_head * group,
              .out = out.data() + kv_head * group},
             scratch);
    }
    return out;
  }

  std::vector<double> expected(const std::vector<float>& q) const {
    std::vector<double> out(q.size());
    for (int64_t head = 0; head < case_.heads; ++head) {
      const int64_t kv_head = head / (case_.heads / case_.kv_heads);
      std::vector<double> weights;
      for (int64_t p = first_visible(); p < case_.positions; ++p) {
        double score = 0;
        for (int64_t d = 0; d < case_.head_dim; ++d) {
          score += double{q[static_cast<size_t>(head * case_.head_dim + d)]} * stored(keys_, p, kv_head, d);
        }
        weights.push_back(score);
      }
      const double max = *std::max_element(weights.begin(), weights.end());
      for (double& weight : weights) weight = std::exp(weight - max);
      const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
      for (int64_t d = 0; d < case_.head_dim; ++d) {
        double& to = out[static_cast<size_t>(head * case_.head_dim + d)];
        for (int64_t p = first_visible(); p < case_.positions; ++p) {
          to += weights[static_cast<size_t>(p - first_visible())] / sum * stored(values_, p, kv_head, d);
        }
      }
    }
    return out;
  }

 private:
  static int64_t page_count(const Case& test) {
    return (test.positions + test.tokens_per_page - 1) / test.tokens_per_page;
  }
  // Layer 0 is another layer's, page 0 another sequence's.
  static CacheShape shape(const Case& test) {
    const LayerKind kind = test.window > 0 ? LayerKind::kSliding : LayerKind::kFull;
    const CacheLayer layer = {.kind = kind, .kv_heads = test.kv_heads, .head_dim = test.head_dim};
    return {.layers = {layer, layer},
            .tokens_per_page = test.tokens_per_page,
            .sliding_pages = page_count(test) + 1,
            .full_pages = page_count(test) + 1};
  }

  int64_t width() const { return case_.kv_heads * case_.head_dim; }
  int64_t first_visible() const {
    return case_.window > 0 ? std::max<int64_t>(0, case_.positions - case_.window) : 0;
  }
  double stored(const std::vector<float>& side, int64_t position, int64_t kv_head, int64_t d) const {
    const float value = side[static_cast<size_t>(position * width() + kv_head * case_.head_dim + d)];
    return case_.compute == Compute::kBf16 ? round_to_bf16(value) : value;
  }

  void fill() {
    const std::vector<float> nan(static_cast<size_t>(width()), std::numeric_limits<float>::quiet_NaN());
    const CacheShape& shape = cache_.shape();
    for (int64_t layer = 0; layer < 2; ++layer) {
      for (int32_t page = 0; page < static_cast<int32_t>(shape.full_pages); ++page) {
        for (int64_t slot = 0; slot < shape.tokens_per_page; ++slot) {
          cache_.write(layer, CpuCache::Side::kKeys, page, slot, nan);
          cache_.write(layer, CpuCache::Side::kValues, page, slot, nan);
        }
      }
    }
    for (int64_t p = first_visible(); p < case_.positions; ++p) {
      const int32_t page = pages_[static_cast<size_t>(p / case_.tokens_per_page)];
      const auto at = static_cast<size_t>(p * width());
      const auto count = static_cast<size_t>(width());
      cache_.write(1, CpuCache::Side::kKeys, page, p % case_.tokens_per_page,
                   std::span(keys_).subspan(at, count));
      cache_.write(1, CpuCache::Side::kValues, page, p % case_.tokens_per_page,
                   std::span(values_).subspan(at, count));
    }
    std::fill_n(pages_.begin(), first_visible() / case_.tokens_per_page, -1);
  }

  Case case_;
  CpuCache cache_;
  AttentionLayer layer_;
  std::vector<int32_t> pages_;
  std::vector<float> keys_, values_;  // [positions, kv_heads, head_dim]
};

void expect_attention(const Case& test) {
  SCOPED_TRACE(testing::Message() << "head_dim " << test.head_dim << ", heads " << test.heads << "/"
                                  << test.kv_heads << ", positions " << test.positions << ", page "
                                  << test.tokens_per_page << ", window " << test.window);
  const CachedSequence sequence(test);
  const std::vector<float> q = random_floats(test.heads * test.head_dim, 3);
  const std::vector<float> actual = sequence.attend_all(q);
  const std::vector<double> expected = sequence.expected(q);
  // Rounded weights are off by at most 2^-9 of themselves, and so is their sum; values are below 5.
  const double tolerance = test.compute == Compute::kBf16 ? 5 * 0x1p-8 : 3e-6;
  for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], tolerance) << i;
}

TEST(AttentionTest, HeadSizes) {
  for (const int64_t head_dim : {16, 24, 32, 64, 128, 256, 512}) {
    expect_attention({.head_dim = head_dim, .positions = 100});
  }
}

TEST(AttentionTest, GroupedHeads) {
  for (const auto& [heads, kv_heads] : {std::pair<int64_t, int64_t>{8, 8}, {8, 4}, {8, 2}, {8, 1}, {3, 1}}) {
    expect_attention({.heads = heads, .kv_heads = kv_heads, .positions = 70});
  }
}

// Blocks, sections and their borders.
TEST(AttentionTest, Lengths) {
  for (const int64_t positions : {1, 2, 31, 32, 33, 511, 512, 513, 1023, 1024, 1025, 1600}) {
    expect_attention({.heads = 2, .positions = positions});
  }
}

TEST(AttentionTest, PageSizes) {
  for (const int64_t tokens_per_page : {1, 4, 16}) {
    for (const int64_t positions : {1, 4, 5, 16, 17, 530}) {
      expect_attention({.positions = positions, .tokens_per_page = tokens_per_page});
      expect_attention({.positions = positions, .tokens_per_page = tokens_per_page, .window = 9});
    }
  }
}

// Windows before, at and after their first full use, across a section's border.
TEST(AttentionTest, Windows) {
  for (const int64_t window : {1, 2, 8, 64, 512}) {
    for (const int64_t past : {-1, 0, 1, 31, 32, 33}) {
      const int64_t positions = std::max<int64_t>(1, window + past);
      expect_attention({.positions = positions, .tokens_per_page = 4, .window = window});
    }
    for (const int64_t positions : {512, 513, 514, 1024, 1025, 1100}) {
      expect_attention({.positions = positions, .tokens_per_page = 4, .window = window});
    }
  }
}

TEST(AttentionTest, Bf16StaysWithinRounding) {
  for (const int64_t positions : {1, 40, 513, 1100}) {
    for (const int64_t window : {0, 64}) {
      expect_attention({.head_dim = 64,
                        .heads = 4,
                        .kv_heads = 2,
                        .positions = positions,
                        .window = window,
                        .compute = Compute::kBf16});
    }
  }
}

// Pages are a matter of storage: not one bit may depend on them.
TEST(AttentionTest, PageSizesGiveTheSameBits) {
  const std::vector<float> q = random_floats(16, 3);
  for (const Compute compute : {Compute::kF32, Compute::kBf16}) {
    const auto attend_with = [&](int64_t tokens_per_page) {
      return CachedSequence({.positions = 700, .tokens_per_page = tokens_per_page, .compute = compute})
          .attend_all(q);
    };
    const std::vector<float> one = attend_with(1);
    EXPECT_EQ(one, attend_with(4));
    EXPECT_EQ(one, attend_with(16));
  }
}

// Scores are not scaled, and their maximum is taken out: large ones neither overflow nor vanish.
TEST(AttentionTest, LargeScores) {
  const CachedSequence sequence({.positions = 600});
  std::vector<float> q = random_floats(16, 3);
  for (float& value : q) value *= 1000;
  const std::vector<float> actual = sequence.attend_all(q);
  const std::vector<double> expected = sequence.expected(q);
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-3);
}

TEST(CpuCacheTest, SizesFollowTheShape) {
  const CacheShape shape = {.layers = {{.kind = LayerKind::kSliding, .kv_heads = 2, .head_dim = 8},
                                       {.kind = LayerKind::kFull, .kv_heads = 1, .head_dim = 32}},
                            .tokens_per_page = 4,
                            .sliding_pages = 3,
                            .full_pages = 5};
  // Keys and values: 2 * (3 pages * 4 tokens * 16 + 5 * 4 * 32) numbers.
  EXPECT_EQ(CpuCache::bytes(shape, Compute::kF32), 2U * (3 * 4 * 16 + 5 * 4 * 32) * 4);
  EXPECT_EQ(CpuCache::bytes(shape, Compute::kBf16), 2U * (3 * 4 * 16 + 5 * 4 * 32) * 2);
}

TEST(CpuCacheTest, KeepsEachTokenHeadAndSideApart) {
  const CacheShape shape = {.layers = {{.kind = LayerKind::kFull, .kv_heads = 2, .head_dim = 3}},
                            .tokens_per_page = 2,
                            .sliding_pages = 0,
                            .full_pages = 2};
  for (const Compute compute : {Compute::kF32, Compute::kBf16}) {
    CpuCache cache(shape, compute);
    const std::vector<float> numbers = random_floats(4 * 2 * 6, 1);
    const auto part = [&](int64_t token, int64_t side) {
      return std::span(numbers).subspan(static_cast<size_t>((token * 2 + side) * 6), 6);
    };
    for (int64_t token = 0; token < 4; ++token) {
      cache.write(0, CpuCache::Side::kKeys, static_cast<int32_t>(token / 2), token % 2, part(token, 0));
      cache.write(0, CpuCache::Side::kValues, static_cast<int32_t>(token / 2), token % 2, part(token, 1));
    }
    for (int64_t token = 0; token < 4; ++token) {
      for (int64_t side = 0; side < 2; ++side) {
        for (int64_t head = 0; head < 2; ++head) {
          std::vector<float> out(3);
          cache.read(0, side == 0 ? CpuCache::Side::kKeys : CpuCache::Side::kValues,
                     static_cast<int32_t>(token / 2), token % 2, head, out);
          for (size_t d = 0; d < 3; ++d) {
            const float written = part(token, side)[static_cast<size_t>(head) * 3 + d];
            EXPECT_EQ(out[d], compute == Compute::kBf16 ? round_to_bf16(written) : written);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace beryl::backend
