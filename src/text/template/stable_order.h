// A stable sort that stays in bounds whatever the comparison says: with NaN among the values, templates can
// ask for orders that are none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace beryl::text {

// Indices 0 to count - 1 in the order of `is_less(left, right)`, which may throw.
template <typename IsLess>
std::vector<size_t> stable_order(size_t count, IsLess&& is_less) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<size_t> merged(count);
  for (size_t width = 1; width < count; width *= 2) {
    for (size_t begin = 0; begin < count; begin += 2 * width) {
      const size_t middle = std::min(begin + width, count);
      const size_t end = std::min(begin + 2 * width, count);
      size_t left = begin;
      size_t right = middle;
      for (size_t i = begin; i < end; ++i) {
        const bool takes_right = left == middle || (right < end && is_less(order[right], order[left]));
        merged[i] = takes_right ? order[right++] : order[left++];
      }
    }
    order.swap(merged);
  }
  return order;
}

}  // namespace beryl::text
