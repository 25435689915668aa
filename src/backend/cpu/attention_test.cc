// Attention against a softmax over all visible keys at once, in double, and against itself in other shapes.

#include "backend/cpu/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "backend/cpu/guarded_for_tests.h"
#include "backend/cpu/isa.h"
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
  explicit CachedSequence(const Case& test) : CachedSequence(test, visible_from(test)) {}
  // Positions before `first_cached` are missing.
  CachedSequence(const Case& test, int64_t first_cached)
      : case_(test), cache_(shape(test), test.compute), first_cached_(first_cached) {
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

  // What the rows at `positions` get, [rows, heads, head_dim], in one batch.
  std::vector<float> attend_rows(const std::vector<float>& q, const std::vector<int32_t>& positions, Isa isa,
                                 int threads) const {
    std::vector<float> out(q.size());
    ThreadPool pool(threads);
    Attention attention(vector_kernels(isa), pool);
    const PageTables tables = {.sliding = pages_, .full = pages_};
    const std::vector<int32_t> sequences(positions.size(), 0);
    const AttentionCall call = {
        .layer = &layer_,
        .cache = &cache_,
        .rows = {.sequences = sequences, .positions = positions, .tables = {&tables, 1}},
        .q = q.data(),
        .out = out.data()};
    attention.run(call);
    return out;
  }

  // The last position's.
  std::vector<float> attend_all(const std::vector<float>& q, Isa isa = Isa::kPortable,
                                int threads = 1) const {
    return attend_rows(q, {static_cast<int32_t>(case_.positions - 1)}, isa, threads);
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
  static int64_t visible_from(const Case& test) {
    return test.window > 0 ? std::max<int64_t>(0, test.positions - test.window) : 0;
  }
  int64_t first_visible() const { return visible_from(case_); }
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
          write(layer, CpuCache::Side::kKeys, page, slot, nan.data());
          write(layer, CpuCache::Side::kValues, page, slot, nan.data());
        }
      }
    }
    for (int64_t p = first_cached_; p < case_.positions; ++p) {
      const int32_t page = pages_[static_cast<size_t>(p / case_.tokens_per_page)];
      const int64_t slot = p % case_.tokens_per_page;
      write(1, CpuCache::Side::kKeys, page, slot, keys_.data() + p * width());
      write(1, CpuCache::Side::kValues, page, slot, values_.data() + p * width());
    }
    std::fill_n(pages_.begin(), first_cached_ / case_.tokens_per_page, -1);
  }

  // Stores the vectors of all heads of one token, [kv_heads, head_dim].
  void write(int64_t layer, CpuCache::Side side, int32_t page, int64_t slot, const float* heads) {
    for (int64_t head = 0; head < case_.kv_heads; ++head) {
      for (int64_t d = 0; d < case_.head_dim; ++d) {
        std::byte* const vectors = cache_.vectors(layer, side, page, head);
        const float value = heads[head * case_.head_dim + d];
        const int64_t index = slot * case_.head_dim + d;
        if (case_.compute == Compute::kBf16) {
          reinterpret_cast<uint16_t*>(vectors)[index] = float_to_bf16(value);
        } else {
          reinterpret_cast<float*>(vectors)[index] = value;
        }
      }
    }
  }

  Case case_;
  CpuCache cache_;
  int64_t first_cached_;
  AttentionLayer layer_;
  std::vector<int32_t> pages_;
  std::vector<float> keys_, values_;  // [positions, kv_heads, head_dim]
};

// [rows, heads, head_dim], rounded as they are in bf16 mode.
std::vector<float> random_queries(const Case& test, int64_t rows) {
  std::vector<float> q = random_floats(rows * test.heads * test.head_dim, 3);
  if (test.compute == Compute::kBf16) std::transform(q.begin(), q.end(), q.begin(), round_to_bf16);
  return q;
}

void expect_attention(const Case& test) {
  SCOPED_TRACE(testing::Message() << "head_dim " << test.head_dim << ", heads " << test.heads << "/"
                                  << test.kv_heads << ", positions " << test.positions << ", page "
                                  << test.tokens_per_page << ", window " << test.window);
  const CachedSequence sequence(test);
  const std::vector<float> q = random_queries(test, 1);
  const std::vector<double> expected = sequence.expected(q);
  // Rounded weights are off by at most 2^-9 of themselves, and so is their sum; values are below 5.
  const double tolerance = test.compute == Compute::kBf16 ? 5 * 0x1p-8 : 3e-6;
  for (const Isa isa : available_isas()) {
    SCOPED_TRACE(isa_name(isa));
    const std::vector<float> actual = sequence.attend_all(q, isa);
    for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], tolerance) << i;
    EXPECT_EQ(sequence.attend_all(q, isa, 3), actual);
  }
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

// What a row gets must not depend on the rows that share its blocks, or on threads: decoding gives the bits
// of prefill. Rows out of order and far apart share nothing; short batches split their sections.
TEST(AttentionTest, RowsTogetherGiveTheBitsOfRowsAlone) {
  std::vector<int32_t> last(70);
  std::iota(last.begin(), last.end(), 1130);
  const std::vector<std::vector<int32_t>> batches = {
      last, {1199, 0, 1100, 31, 32, 511, 512, 513, 1024, 700}, {1198, 1199}, {1199, 1130, 1199}};
  for (const Case& shape :
       {Case{.head_dim = 64, .heads = 4, .kv_heads = 2}, Case{.head_dim = 48, .heads = 8, .kv_heads = 1},
        Case{.head_dim = 32, .heads = 2, .kv_heads = 2, .window = 100}}) {
    for (const Compute compute : {Compute::kF32, Compute::kBf16}) {
      Case test = shape;
      test.compute = compute;
      test.positions = 1200;
      // All positions are cached, whatever the window.
      const CachedSequence sequence(test, 0);
      const int64_t row_numbers = test.heads * test.head_dim;
      for (const Isa isa : available_isas()) {
        SCOPED_TRACE(isa_name(isa));
        for (const std::vector<int32_t>& positions : batches) {
          const std::vector<float> q = random_queries(test, static_cast<int64_t>(positions.size()));
          std::vector<float> alone;
          for (size_t i = 0; i < positions.size(); ++i) {
            const auto begin = q.begin() + static_cast<std::ptrdiff_t>(i) * row_numbers;
            const std::vector<float> row =
                sequence.attend_rows({begin, begin + row_numbers}, {positions[i]}, isa, 1);
            alone.insert(alone.end(), row.begin(), row.end());
          }
          for (const int threads : {1, 2, 3}) {
            EXPECT_EQ(sequence.attend_rows(q, positions, isa, threads), alone) << threads << " threads";
          }
        }
      }
    }
  }
}

// Pages are a matter of storage: not one bit may depend on them.
TEST(AttentionTest, PageSizesGiveTheSameBits) {
  const std::vector<float> q = random_floats(16, 3);
  for (const Compute compute : {Compute::kF32, Compute::kBf16}) {
    const auto attend_with = [&](int64_t tokens_per_page) {
      return CachedSequence({.positions = 700, .tokens_per_page = tokens_per_page, .compute = compute})
          .attend_all(q, best_isa());
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
  const std::vector<double> expected = sequence.expected(q);
  for (const Isa isa : available_isas()) {
    const std::vector<float> actual = sequence.attend_all(q, isa);
    for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-3);
  }
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

TEST(CpuCacheTest, VectorsLieApartAndInsideTheCache) {
  const CacheShape shape = {.layers = {{.kind = LayerKind::kSliding, .kv_heads = 2, .head_dim = 3},
                                       {.kind = LayerKind::kFull, .kv_heads = 1, .head_dim = 4}},
                            .tokens_per_page = 2,
                            .sliding_pages = 3,
                            .full_pages = 2};
  for (const Compute compute : {Compute::kF32, Compute::kBf16}) {
    CpuCache cache(shape, compute);
    std::vector<std::pair<const std::byte*, const std::byte*>> ranges;
    for (int64_t layer = 0; layer < 2; ++layer) {
      const CacheLayer& of = shape.layers[static_cast<size_t>(layer)];
      for (const auto side : {CpuCache::Side::kKeys, CpuCache::Side::kValues}) {
        for (int32_t page = 0; page < (layer == 0 ? 3 : 2); ++page) {
          for (int64_t head = 0; head < of.kv_heads; ++head) {
            const std::byte* begin = cache.vectors(layer, side, page, head);
            ranges.emplace_back(begin, begin + 2 * of.head_dim * cache.number_bytes());
          }
        }
      }
    }
    std::sort(ranges.begin(), ranges.end());
    for (size_t i = 1; i < ranges.size(); ++i) EXPECT_LE(ranges[i - 1].second, ranges[i].first);
    EXPECT_EQ(static_cast<uint64_t>(ranges.back().second - ranges.front().first),
              CpuCache::bytes(shape, compute));
  }
}

// One block between pages that may not be touched, for every head size, number of keys and of queries that
// tiles can leave over.
TEST(AttentionBlockTest, StaysWithinItsRows) {
  using U16 = Guarded<uint16_t>;
  for (const int64_t head_dim : {16, 17, 24, 31, 48, 64, 80, 112, 256}) {
    for (const int64_t keys : {1, 2, 3, 5, 8, 15, 16, 17, 31, 32}) {
      for (const int64_t queries : {1, 2, 3, 4, 5, 7, 8, 15, 17}) {
        const std::vector<float> numbers = random_floats((2 * keys + queries) * head_dim, 5);
        std::vector<std::unique_ptr<U16>> rows;
        std::vector<const void*> pointers;
        std::vector<uint16_t> codes;
        for (const float number : numbers) codes.push_back(float_to_bf16(number * 0.3F));
        for (int64_t i = 0; i < 2 * keys; ++i) {
          const auto begin = codes.begin() + i * head_dim;
          rows.push_back(std::make_unique<U16>(std::vector<uint16_t>(begin, begin + head_dim),
                                               i % 2 == 0 ? U16::Side::kEnd : U16::Side::kBegin));
          pointers.push_back(rows.back()->data());
        }
        const std::vector<uint16_t> q_codes(codes.begin() + 2 * keys * head_dim, codes.end());
        std::vector<float> q_numbers;
        for (const uint16_t code : q_codes) q_numbers.push_back(bf16_to_float(code));
        U16 q_bf16(q_codes, U16::Side::kEnd);
        Guarded<float> q(q_numbers, Guarded<float>::Side::kEnd);
        std::vector<float> first;
        for (const Isa isa : available_isas()) {
          Guarded<float> out(std::vector<float>(q_numbers.size(), 0.0F), Guarded<float>::Side::kEnd);
          std::vector<float> max(static_cast<size_t>(queries), -std::numeric_limits<float>::infinity());
          std::vector<float> sum(static_cast<size_t>(queries), 0.0F);
          vector_kernels(isa).attend_bf16({.head_dim = head_dim,
                                           .keys = keys,
                                           .key_rows = pointers.data(),
                                           .value_rows = pointers.data() + keys,
                                           .queries = queries,
                                           .q = q.data(),
                                           .q_bf16 = q_bf16.data(),
                                           .max = max.data(),
                                           .sum = sum.data(),
                                           .out = out.data()});
          const std::span<const float> got = out.values();
          if (first.empty()) first.assign(got.begin(), got.end());
          // A weight that another set rounds the other way differs by 2^-8 of itself.
          for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], first[i], 0.02) << isa_name(isa);
        }
      }
    }
  }
}

}  // namespace
}  // namespace beryl::backend
