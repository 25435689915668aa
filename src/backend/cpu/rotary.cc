#include "backend/cpu/rotary.h"

#include <algorithm>
#include <cmath>

namespace beryl::backend {
namespace {

// Fewer rows are computed by the caller alone.
constexpr int64_t kInlineRows = 4;

}  // namespace

bool RotaryTable::is_of(std::span<const float> inv_freq, std::span<const int32_t> positions) const {
  return std::equal(inv_freq.begin(), inv_freq.end(), inv_freq_.begin(), inv_freq_.end()) &&
         std::equal(positions.begin(), positions.end(), positions_.begin(), positions_.end());
}

void RotaryTable::make(std::span<const float> inv_freq, std::span<const int32_t> positions,
                       ThreadPool& pool) {
  inv_freq_.assign(inv_freq.begin(), inv_freq.end());
  positions_.assign(positions.begin(), positions.end());
  numbers_.resize(2 * inv_freq.size() * positions.size());
  pool.run_ranges(static_cast<int64_t>(positions.size()), kInlineRows, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const auto position = static_cast<float>(positions[static_cast<size_t>(t)]);
      float* to = numbers_.data() + 2 * t * half();
      for (int64_t i = 0; i < half(); ++i) {
        const float angle = position * inv_freq[static_cast<size_t>(i)];
        to[i] = std::cos(angle);
        to[half() + i] = std::sin(angle);
      }
    }
  });
}

const RotaryTable& RotaryTables::get(std::span<const float> inv_freq, std::span<const int32_t> positions,
                                     ThreadPool& pool) {
  const auto found = std::find_if(tables_.begin(), tables_.end(),
                                  [&](const RotaryTable& table) { return table.is_of(inv_freq, positions); });
  const bool is_new = found == tables_.end();
  std::rotate(tables_.begin(), is_new ? found - 1 : found, is_new ? found : found + 1);
  if (is_new) tables_.front().make(inv_freq, positions, pool);
  return tables_.front();
}

}  // namespace beryl::backend
