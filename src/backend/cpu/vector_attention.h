// attend_f32 and attend_bf16, written once over a vocabulary of lanes `V` as in vector_math.h.
//
// A score or an output value has its own chain of additions, in an order that is the same in every tile, so
// how queries and keys are cut into tiles changes no bits.
#pragma once

#include <cstdint>

#include "backend/cpu/vector_kernels.h"
#include "backend/cpu/vector_math.h"

namespace beryl::backend::lanes {

// Queries whose scores of one block are held at once.
inline constexpr int64_t kStepQueries = 16;

// The work memory of one step.
struct AttentionStep {
  alignas(64) float weights[kStepQueries][kBlockKeys];          // scores, then exp(score - max)
  alignas(64) uint16_t bf16_weights[kStepQueries][kBlockKeys];  // the same; with bf16 dot products only
  alignas(64) float max[kStepQueries];
  alignas(64) float factors[kStepQueries];  // exp(old max - new max)
};

// Asks for the memory of rows [begin, end) ahead of their use. Keys and values come from memory in decoding,
// and a row is too short for the processor to guess the next.
template <typename V>
void prefetch_rows(const void* const* rows, int64_t begin, int64_t end, int64_t row_bytes) {
  constexpr int64_t kLineBytes = 64;
  for (int64_t i = begin; i < end; ++i) {
    const char* const row = static_cast<const char*>(rows[i]);
    for (int64_t at = 0; at < row_bytes; at += kLineBytes) __builtin_prefetch(row + at, 0, 2);
  }
}

// How the products of queries with keys are taken: KeyType as stored, QueryType as multiplied.
template <typename V>
struct F32Products {
  using QueryType = float;
  using KeyType = float;
  static constexpr int64_t kNumbers = V::kWidth;
  static auto load_query(const float* q, int64_t n) { return V::load(q, n); }
  static auto load_key(const float* k, int64_t n) { return V::load(k, n); }
  static auto add(typename V::F q, typename V::F k, typename V::F sum) { return V::fma(q, k, sum); }
};

template <typename V>
struct WidenedProducts : F32Products<V> {
  using KeyType = uint16_t;
  static auto load_key(const uint16_t* k, int64_t n) { return V::load_bf16(k, n); }
};

template <typename V>
struct Bf16Products {
  using QueryType = uint16_t;
  using KeyType = uint16_t;
  static constexpr int64_t kNumbers = 2 * V::kWidth;
  static auto load_query(const uint16_t* q, int64_t n) { return V::load_pairs(q, n); }
  static auto load_key(const uint16_t* k, int64_t n) { return V::load_pairs(k, n); }
  static auto add(typename V::Pairs q, typename V::Pairs k, typename V::F sum) {
    return V::add_pair_products(q, k, sum);
  }
};

// The scores of `kQueries` queries with V::kTile / kQueries keys, [kQueries][...] to rows of kBlockKeys.
template <typename V, typename Products, int64_t kQueries>
void score_tile(const typename Products::QueryType* q, const void* const* key_rows, int64_t head_dim,
                float* scores) {
  constexpr int64_t kKeys = V::kTile / kQueries;
  using Key = const typename Products::KeyType*;
  typename V::F sums[V::kTile];
  for (int64_t i = 0; i < V::kTile; ++i) sums[i] = V::zero();
  const auto add = [&](int64_t d, int64_t n) {
    decltype(Products::load_query(q, n)) queries[kQueries];
    for (int64_t i = 0; i < kQueries; ++i) queries[i] = Products::load_query(q + i * head_dim + d, n);
    for (int64_t j = 0; j < kKeys; ++j) {
      const auto key = Products::load_key(static_cast<Key>(key_rows[j]) + d, n);
      for (int64_t i = 0; i < kQueries; ++i) {
        sums[i * kKeys + j] = Products::add(queries[i], key, sums[i * kKeys + j]);
      }
    }
  };
  int64_t d = 0;
  for (; d + Products::kNumbers <= head_dim; d += Products::kNumbers) add(d, Products::kNumbers);
  if (d < head_dim) add(d, head_dim - d);
  float results[V::kTile];
  V::sum_tile(sums, results);
  for (int64_t i = 0; i < kQueries; ++i) {
    for (int64_t j = 0; j < kKeys; ++j) scores[i * kBlockKeys + j] = results[i * kKeys + j];
  }
}

// The scores of `kQueries` queries with all keys of the block. A last short tile repeats the last key into
// places that are set to -infinity later. The first queries of a block ask for its values.
template <typename V, typename Products, int64_t kQueries>
void score_queries(const AttentionBlock& block, const typename Products::QueryType* q, float* scores,
                   bool is_first) {
  constexpr int64_t kKeys = V::kTile / kQueries;
  constexpr auto kNumberBytes = static_cast<int64_t>(sizeof(typename Products::KeyType));
  int64_t j = 0;
  for (; j + kKeys <= block.keys; j += kKeys) {
    if (is_first) prefetch_rows<V>(block.value_rows, j, j + kKeys, block.head_dim * kNumberBytes);
    score_tile<V, Products, kQueries>(q, block.key_rows + j, block.head_dim, scores + j);
  }
  if (j == block.keys) return;
  const void* rows[kKeys];
  for (int64_t i = 0; i < kKeys; ++i) rows[i] = block.key_rows[j + i < block.keys ? j + i : block.keys - 1];
  score_tile<V, Products, kQueries>(q, rows, block.head_dim, scores + j);
}

// [queries, kBlockKeys] scores of the queries from `first` on, which `q` points to.
template <typename V, typename Products>
void score_block(const AttentionBlock& block, int64_t first, int64_t queries,
                 const typename Products::QueryType* q, AttentionStep& step) {
  const bool is_first = first == 0;
  int64_t i = 0;
  for (; i + 4 <= queries; i += 4) {
    score_queries<V, Products, 4>(block, q + i * block.head_dim, step.weights[i], is_first && i == 0);
  }
  for (; i + 2 <= queries; i += 2) {
    score_queries<V, Products, 2>(block, q + i * block.head_dim, step.weights[i], is_first && i == 0);
  }
  if (i < queries)
    score_queries<V, Products, 1>(block, q + i * block.head_dim, step.weights[i], is_first && i == 0);
}

// From scores to weights; updates the maxima and sums of the state.
template <typename V, bool kRoundWeights>
void weigh_block(const AttentionBlock& block, int64_t first, int64_t queries, AttentionStep& step) {
  for (int64_t i = 0; i < queries; ++i) {
    for (int64_t j = block.keys; j < kBlockKeys; ++j) step.weights[i][j] = -__builtin_inff();
    auto max = V::set(block.max[first + i]);
    for (int64_t j = 0; j < kBlockKeys; j += V::kWidth) max = V::max(max, V::load(step.weights[i] + j));
    step.max[i] = V::max_of(max);
    step.factors[i] = block.max[first + i] - step.max[i];
  }
  for (int64_t i = queries; i < kStepQueries; ++i) step.factors[i] = 0.0F;
  exp_all<V>(step.factors, kStepQueries, step.factors);
  for (int64_t i = 0; i < queries; ++i) {
    const auto max = V::set(step.max[i]);
    auto sum = V::zero();
    for (int64_t j = 0; j < kBlockKeys; j += V::kWidth) {
      auto weights = lanes::exp<V>(V::sub(V::load(step.weights[i] + j), max));
      // The sum takes the rounded weights too, so that they add up to one.
      if constexpr (kRoundWeights) weights = V::round_to_bf16(weights);
      sum = V::add(sum, weights);
      V::store(step.weights[i] + j, weights, V::kWidth);
    }
    block.max[first + i] = step.max[i];
    block.sum[first + i] = block.sum[first + i] * step.factors[i] + V::sum(sum);
  }
}

// While values [d, d + width) of all rows are summed, asks for as large a part of the next block's keys.
template <typename V, typename Products>
void prefetch_next(const AttentionBlock& block, int64_t d, int64_t width) {
  prefetch_rows<V>(block.next_key_rows, block.next_keys * d / block.head_dim,
                   block.next_keys * (d + width) / block.head_dim,
                   block.head_dim * static_cast<int64_t>(sizeof(typename Products::KeyType)));
}

// out = out * factor + weights * values, for `kQueries` queries and `kVectors` vectors of the head's values.
template <typename V, typename Products, int64_t kQueries, int64_t kVectors>
void add_values_tile(const AttentionBlock& block, int64_t d, const float* weights, const float* factors,
                     float* out) {
  using Value = const typename Products::KeyType*;
  const int64_t rest = block.head_dim - d;
  const auto lanes_at = [rest](int64_t v) {
    const int64_t left = rest - v * V::kWidth;
    return left < V::kWidth ? left : V::kWidth;
  };
  typename V::F sums[kQueries][kVectors];
  for (int64_t i = 0; i < kQueries; ++i) {
    for (int64_t v = 0; v < kVectors; ++v) {
      const float* from = out + i * block.head_dim + d + v * V::kWidth;
      sums[i][v] = V::mul(V::load(from, lanes_at(v)), V::set(factors[i]));
    }
  }
  for (int64_t j = 0; j < block.keys; ++j) {
    const Value row = static_cast<Value>(block.value_rows[j]) + d;
    typename V::F values[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) values[v] = Products::load_key(row + v * V::kWidth, lanes_at(v));
    for (int64_t i = 0; i < kQueries; ++i) {
      const auto weight = V::set(weights[i * kBlockKeys + j]);
      for (int64_t v = 0; v < kVectors; ++v) sums[i][v] = V::fma(weight, values[v], sums[i][v]);
    }
  }
  for (int64_t i = 0; i < kQueries; ++i) {
    for (int64_t v = 0; v < kVectors; ++v) {
      V::store(out + i * block.head_dim + d + v * V::kWidth, sums[i][v], lanes_at(v));
    }
  }
}

template <typename V, typename Products, int64_t kQueries>
void add_values(const AttentionBlock& block, const float* weights, const float* factors, float* out) {
  constexpr int64_t kVectors = V::kValueTile / kQueries;
  int64_t d = 0;
  for (; d + kVectors * V::kWidth <= block.head_dim; d += kVectors * V::kWidth) {
    if (out == block.out) prefetch_next<V, Products>(block, d, kVectors * V::kWidth);
    add_values_tile<V, Products, kQueries, kVectors>(block, d, weights, factors, out);
  }
  for (; d < block.head_dim; d += V::kWidth) {
    add_values_tile<V, Products, kQueries, 1>(block, d, weights, factors, out);
  }
}

// The same by dot products of pairs of keys. `last` stands in for the partner of a last odd key, whose weight
// is zero.
template <typename V, int64_t kQueries, int64_t kVectors>
void add_value_pairs_tile(const AttentionBlock& block, int64_t d, const uint16_t* weights,
                          const float* factors, float* out) {
  const int64_t rest = block.head_dim - d;
  const int64_t n = rest < 2 * V::kWidth ? rest : 2 * V::kWidth;
  const int64_t low = n < V::kWidth ? n : V::kWidth;
  typename V::F sums[kQueries][2 * kVectors];
  for (int64_t i = 0; i < kQueries; ++i) {
    const auto factor = V::set(factors[i]);
    for (int64_t v = 0; v < kVectors; ++v) {
      const float* from = out + i * block.head_dim + d + 2 * v * V::kWidth;
      sums[i][2 * v] = V::mul(V::load(from, low), factor);
      sums[i][2 * v + 1] =
          V::mul(n > V::kWidth ? V::load(from + V::kWidth, n - V::kWidth) : V::zero(), factor);
    }
  }
  for (int64_t j = 0; j < block.keys; j += 2) {
    const int64_t partner = j + 1 < block.keys ? j + 1 : j;
    const uint16_t* const even = static_cast<const uint16_t*>(block.value_rows[j]) + d;
    const uint16_t* const odd = static_cast<const uint16_t*>(block.value_rows[partner]) + d;
    typename V::Pairs values[2 * kVectors];
    for (int64_t v = 0; v < kVectors; ++v) {
      const auto a = V::load_pairs(even + 2 * v * V::kWidth, n);
      const auto b = V::load_pairs(odd + 2 * v * V::kWidth, n);
      values[2 * v] = V::interleave_low(a, b);
      values[2 * v + 1] = V::interleave_high(a, b);
    }
    for (int64_t i = 0; i < kQueries; ++i) {
      const auto weight = V::set_pair(weights + i * kBlockKeys + j);
      for (int64_t v = 0; v < 2 * kVectors; ++v) {
        sums[i][v] = V::add_pair_products(values[v], weight, sums[i][v]);
      }
    }
  }
  for (int64_t i = 0; i < kQueries; ++i) {
    for (int64_t v = 0; v < kVectors; ++v) {
      float* to = out + i * block.head_dim + d + 2 * v * V::kWidth;
      V::store(to, sums[i][2 * v], low);
      if (n > V::kWidth) V::store(to + V::kWidth, sums[i][2 * v + 1], n - V::kWidth);
    }
  }
}

template <typename V, int64_t kQueries>
void add_value_pairs(const AttentionBlock& block, const uint16_t* weights, const float* factors, float* out) {
  constexpr int64_t kVectors = kQueries == 1 ? 4 : 8 / kQueries;
  int64_t d = 0;
  for (; d + 2 * kVectors * V::kWidth <= block.head_dim; d += 2 * kVectors * V::kWidth) {
    if (out == block.out) prefetch_next<V, Bf16Products<V>>(block, d, 2 * kVectors * V::kWidth);
    add_value_pairs_tile<V, kQueries, kVectors>(block, d, weights, factors, out);
  }
  for (; d < block.head_dim; d += 2 * V::kWidth) {
    add_value_pairs_tile<V, kQueries, 1>(block, d, weights, factors, out);
  }
}

// The values of `queries` queries from `first` on, by FMA.
template <typename V, typename Products>
void sum_values(const AttentionBlock& block, int64_t first, int64_t queries, const AttentionStep& step) {
  float* const out = block.out + first * block.head_dim;
  int64_t i = 0;
  for (; i + 4 <= queries; i += 4) {
    add_values<V, Products, 4>(block, step.weights[i], step.factors + i, out + i * block.head_dim);
  }
  for (; i + 2 <= queries; i += 2) {
    add_values<V, Products, 2>(block, step.weights[i], step.factors + i, out + i * block.head_dim);
  }
  if (i < queries) {
    add_values<V, Products, 1>(block, step.weights[i], step.factors + i, out + i * block.head_dim);
  }
}

// The same by dot products.
template <typename V>
void sum_value_pairs(const AttentionBlock& block, int64_t first, int64_t queries, AttentionStep& step) {
  // Places beyond the last key hold zero.
  for (int64_t i = 0; i < queries; ++i) to_bf16<V>(step.weights[i], kBlockKeys, step.bf16_weights[i]);
  float* const out = block.out + first * block.head_dim;
  int64_t i = 0;
  for (; i + 8 <= queries; i += 8) {
    add_value_pairs<V, 8>(block, step.bf16_weights[i], step.factors + i, out + i * block.head_dim);
  }
  for (; i + 4 <= queries; i += 4) {
    add_value_pairs<V, 4>(block, step.bf16_weights[i], step.factors + i, out + i * block.head_dim);
  }
  for (; i + 2 <= queries; i += 2) {
    add_value_pairs<V, 2>(block, step.bf16_weights[i], step.factors + i, out + i * block.head_dim);
  }
  if (i < queries) {
    add_value_pairs<V, 1>(block, step.bf16_weights[i], step.factors + i, out + i * block.head_dim);
  }
}

template <typename V>
void attend_f32(const AttentionBlock& block) {
  AttentionStep step;
  for (int64_t first = 0; first < block.queries; first += kStepQueries) {
    const int64_t left = block.queries - first;
    const int64_t queries = left < kStepQueries ? left : kStepQueries;
    score_block<V, F32Products<V>>(block, first, queries, block.q + first * block.head_dim, step);
    weigh_block<V, false>(block, first, queries, step);
    sum_values<V, F32Products<V>>(block, first, queries, step);
  }
}

template <typename V>
void attend_bf16(const AttentionBlock& block) {
  AttentionStep step;
  for (int64_t first = 0; first < block.queries; first += kStepQueries) {
    const int64_t left = block.queries - first;
    const int64_t queries = left < kStepQueries ? left : kStepQueries;
    if constexpr (V::kHasPairProducts) {
      score_block<V, Bf16Products<V>>(block, first, queries, block.q_bf16 + first * block.head_dim, step);
      weigh_block<V, true>(block, first, queries, step);
      sum_value_pairs<V>(block, first, queries, step);
    } else {
      score_block<V, WidenedProducts<V>>(block, first, queries, block.q + first * block.head_dim, step);
      weigh_block<V, true>(block, first, queries, step);
      sum_values<V, WidenedProducts<V>>(block, first, queries, step);
    }
  }
}

// The kernel table over V.
template <typename V>
constexpr VectorKernels make_table() {
  return {.exp = exp_all<V>,
          .gelu_times = gelu_times<V>,
          .soft_cap = soft_cap<V>,
          .dot = dot<V>,
          .scale = scale<V>,
          .add_scaled = add_scaled<V>,
          .add_normed = add_normed<V>,
          .mix = mix<V>,
          .round_to_bf16 = round_to_bf16<V>,
          .to_bf16 = to_bf16<V>,
          .rotate = rotate<V>,
          .attend_f32 = attend_f32<V>,
          .attend_bf16 = attend_bf16<V>};
}

}  // namespace beryl::backend::lanes
