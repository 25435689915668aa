// Cosines and sines of rotary embeddings, computed once for the rows of a batch and shared by all heads, and
// by all layers of a pass that have the same frequencies.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/cpu/thread_pool.h"

namespace beryl::backend {

class RotaryTable {
 public:
  // [head_dim / 2], of row t.
  const float* cosines(int64_t t) const { return numbers_.data() + 2 * t * half(); }
  const float* sines(int64_t t) const { return cosines(t) + half(); }

 private:
  friend class RotaryTables;
  int64_t half() const { return static_cast<int64_t>(inv_freq_.size()); }
  bool is_of(std::span<const float> inv_freq, std::span<const int32_t> positions) const;
  void make(std::span<const float> inv_freq, std::span<const int32_t> positions, ThreadPool& pool);

  std::vector<float> inv_freq_;
  std::vector<int32_t> positions_;
  std::vector<float> numbers_;  // [T][cosines, sines][head_dim / 2]
};

class RotaryTables {
 public:
  // The angles positions[t] * inv_freq[i]. Valid until two more tables have been asked for.
  const RotaryTable& get(std::span<const float> inv_freq, std::span<const int32_t> positions,
                         ThreadPool& pool);

 private:
  // Sliding and full layers have frequencies of their own. The last used comes first.
  std::array<RotaryTable, 3> tables_;
};

}  // namespace beryl::backend
