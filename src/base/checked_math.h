// Arithmetic on sizes that come from files: a result that does not fit is an absent value, never a wrapped
// one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace beryl {

constexpr std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

constexpr std::optional<uint64_t> checked_mul(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// a / b rounded up, for a >= 0 and b > 0: how many pieces of size b cover a.
constexpr int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Product of all dimensions, or nothing when the product of the non-zero ones does not fit in 63 bits (so a
// zero cannot hide an absurd dimension). The product of no dimensions is 1.
constexpr std::optional<uint64_t> element_count(std::span<const int64_t> shape) {
  uint64_t nonzero_product = 1;
  bool has_zero = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) return std::nullopt;
    if (dimension == 0) {
      has_zero = true;
      continue;
    }
    const auto next = checked_mul(nonzero_product, static_cast<uint64_t>(dimension));
    if (!next || *next > INT64_MAX) return std::nullopt;
    nonzero_product = *next;
  }
  return has_zero ? 0 : nonzero_product;
}

}  // namespace beryl
