#include "eval/verify_code_sums.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace beryl::eval {
namespace {

using Entry = CodeSums::Lanes;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Entry entry_of(float value) {
  if (!std::isfinite(value)) return Entry{0, 0, -kInfinity, kInfinity};
  return Entry{value, value * value, -value, value};
}

Entry both(const Entry& a, const Entry& b) {
  return Entry{a[0] + b[0], a[1] + b[1], std::max(a[2], b[2]), std::max(a[3], b[3])};
}

}  // namespace

CodeTable::CodeTable(formats::CodeKind kind) : is_nibbles_(formats::code_bits(kind) == 4), single_{} {
  const std::span<const float> values = formats::code_values(kind);
  for (size_t i = 0; i < entries_.size(); ++i) {
    entries_[i] = is_nibbles_ ? both(entry_of(values[i & 15]), entry_of(values[i >> 4]))
                              : entry_of(values[std::min(i, values.size() - 1)]);
  }
  for (size_t i = 0; i < single_.size() && is_nibbles_; ++i) single_[i] = entry_of(values[i]);
}

CodeSums CodeTable::sum(const std::byte* row, int64_t first, int64_t count) const {
  const int64_t bytes = is_nibbles_ ? count / 2 : count;
  const std::byte* from = row + (is_nibbles_ ? first / 2 : first);
  // Two chains of additions, so that one need not wait for the other.
  CodeSums a;
  CodeSums b;
  int64_t i = 0;
  for (; i + 1 < bytes; i += 2) {
    a.add(entries_[static_cast<size_t>(from[i])]);
    b.add(entries_[static_cast<size_t>(from[i + 1])]);
  }
  if (i < bytes) a.add(entries_[static_cast<size_t>(from[i])]);
  if (is_nibbles_ && count % 2 == 1) b.add(single_[static_cast<size_t>(from[bytes] & std::byte{15})]);
  a.add(b);
  return a;
}

CodeSums sum_values(std::span<const float> values) {
  // Eight sums that the compiler can keep in vectors.
  std::array<float, 8> squares{};
  std::array<float, 8> low{};
  std::array<float, 8> high{};
  low.fill(kInfinity);
  high.fill(-kInfinity);
  size_t i = 0;
  for (; i + 8 <= values.size(); i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) {
      const float value = values[i + lane];
      squares[lane] += value * value;
      low[lane] = std::min(low[lane], value);
      high[lane] = std::max(high[lane], value);
    }
  }
  for (size_t lane = 0; i < values.size(); ++i, ++lane) {
    squares[lane] += values[i] * values[i];
    low[lane] = std::min(low[lane], values[i]);
    high[lane] = std::max(high[lane], values[i]);
  }
  CodeSums result;
  result.sums[1] = std::accumulate(squares.begin(), squares.end(), 0.0F);
  result.peaks[2] = -*std::min_element(low.begin(), low.end());
  result.peaks[3] = *std::max_element(high.begin(), high.end());
  return result;
}

}  // namespace beryl::eval
