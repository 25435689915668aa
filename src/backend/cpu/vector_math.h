// The element-wise kernels, written once over a vocabulary of lanes: `V` is a vector type of one instruction
// set (see vector_portable.cc for what it offers).
//
// Each `V` is local to its file, so the instantiations are too: no code compiled for one instruction set can
// stand in for another's. Nothing else may be defined here.
#pragma once

#include <cstdint>

#include "backend/cpu/vector_kernels.h"

namespace beryl::backend::lanes {

// exp(x) = 2^n exp(r), |r| <= ln(2) / 2, with exp(r) = 1 + r + r^2 P(r): P interpolates at Chebyshev's points
// and is off by less than 2^-26. `x` is clamped to where the result is 0 or infinity.
template <typename V>
typename V::F exp(typename V::F x) {
  using F = typename V::F;
  // NaN stays: both return their second argument when one is NaN.
  x = V::min(V::set(89.0F), V::max(V::set(-104.0F), x));
  const F n = V::round(V::mul(x, V::set(0x1.715476p+0F)));
  // ln(2) in two parts, the first of so few bits that its multiples are exact.
  F r = V::fma(n, V::set(-0x1.62e4p-1F), x);
  r = V::fma(n, V::set(-0x1.7f7d1cp-20F), r);
  F p = V::set(0x1.6d43b4p-10F);
  p = V::fma(p, r, V::set(0x1.120be8p-7F));
  p = V::fma(p, r, V::set(0x1.5554e8p-5F));
  p = V::fma(p, r, V::set(0x1.5554dcp-3F));
  p = V::fma(p, r, V::set(0.5F));
  p = V::fma(p, V::mul(r, r), r);
  return V::times_power_of_two(V::add(p, V::set(1.0F)), n);
}

// 0.5 z (1 + tanh(u)) = z / (1 + exp(-2 u)), u = sqrt(2/pi) (z + 0.044715 z^3)
template <typename V>
typename V::F gelu_tanh(typename V::F z) {
  constexpr float kMinusTwoRoots = -2 * 0.7978845608028654F;
  const auto inner = V::fma(V::mul(z, z), V::set(kMinusTwoRoots * 0.044715F), V::set(kMinusTwoRoots));
  return V::div(z, V::add(V::set(1.0F), lanes::exp<V>(V::mul(z, inner))));
}

// Below 0.55 y + y^3 P(y^2), which keeps small results exact; above (1 - e) / (1 + e), e = exp(-2 |y|).
template <typename V>
typename V::F tanh(typename V::F y) {
  using F = typename V::F;
  const F square = V::mul(y, y);
  F p = V::set(-0.0066157547F);
  p = V::fma(p, square, V::set(0.021312745F));
  p = V::fma(p, square, V::set(-0.053910065F));
  p = V::fma(p, square, V::set(0.13333118F));
  p = V::fma(p, square, V::set(-0.3333333F));
  const F small = V::fma(V::mul(square, y), p, y);
  const F magnitude = V::abs(y);
  const F e = lanes::exp<V>(V::mul(magnitude, V::set(-2.0F)));
  const F large = V::div(V::sub(V::set(1.0F), e), V::add(V::set(1.0F), e));
  return V::select_less(magnitude, V::set(0.55F), small, V::copy_sign(large, y));
}

// Calls body(i, n) for runs of n = V::kWidth indices and a last shorter one. The loads and stores of V take
// n: where it is V::kWidth they are whole.
template <typename V, typename Body>
void for_lanes(int64_t count, Body body) {
  int64_t i = 0;
  for (; i + V::kWidth <= count; i += V::kWidth) body(i, V::kWidth);
  if (i < count) body(i, count - i);
}

template <typename V>
void exp_all(const float* x, int64_t count, float* out) {
  for_lanes<V>(count, [=](int64_t i, int64_t n) { V::store(out + i, lanes::exp<V>(V::load(x + i, n)), n); });
}

template <typename V>
void gelu_times(const float* gate, const float* up, int64_t count, float* out) {
  for_lanes<V>(count, [=](int64_t i, int64_t n) {
    V::store(out + i, V::mul(lanes::gelu_tanh<V>(V::load(gate + i, n)), V::load(up + i, n)), n);
  });
}

template <typename V>
void soft_cap(float cap, float* x, int64_t count) {
  const auto caps = V::set(cap);
  for_lanes<V>(count, [=](int64_t i, int64_t n) {
    V::store(x + i, V::mul(caps, lanes::tanh<V>(V::div(V::load(x + i, n), caps))), n);
  });
}

template <typename V>
float dot(const float* a, const float* b, int64_t count) {
  using F = typename V::F;
  constexpr int64_t kStep = 4 * V::kWidth;
  F sum0 = V::zero();
  F sum1 = V::zero();
  F sum2 = V::zero();
  F sum3 = V::zero();
  int64_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    sum0 = V::fma(V::load(a + i), V::load(b + i), sum0);
    sum1 = V::fma(V::load(a + i + V::kWidth), V::load(b + i + V::kWidth), sum1);
    sum2 = V::fma(V::load(a + i + 2 * V::kWidth), V::load(b + i + 2 * V::kWidth), sum2);
    sum3 = V::fma(V::load(a + i + 3 * V::kWidth), V::load(b + i + 3 * V::kWidth), sum3);
  }
  for_lanes<V>(count - i, [&](int64_t rest, int64_t n) {
    sum0 = V::fma(V::load(a + i + rest, n), V::load(b + i + rest, n), sum0);
  });
  return V::sum(V::add(V::add(sum0, sum1), V::add(sum2, sum3)));
}

template <typename V>
void scale(const float* x, float factor, const float* weights, int64_t count, float* out) {
  const auto factors = V::set(factor);
  if (weights == nullptr) {
    for_lanes<V>(count,
                 [=](int64_t i, int64_t n) { V::store(out + i, V::mul(V::load(x + i, n), factors), n); });
    return;
  }
  for_lanes<V>(count, [=](int64_t i, int64_t n) {
    V::store(out + i, V::mul(V::mul(V::load(x + i, n), factors), V::load(weights + i, n)), n);
  });
}

template <typename V>
void add_scaled(float* a, const float* b, float factor, int64_t count) {
  const auto factors = V::set(factor);
  for_lanes<V>(count, [=](int64_t i, int64_t n) {
    V::store(a + i, V::mul(V::add(V::load(a + i, n), V::load(b + i, n)), factors), n);
  });
}

template <typename V>
void add_normed(float* x, const NormedUpdate& update, int64_t count) {
  const auto inverses = V::set(update.inverse);
  const auto scales = V::set(update.scale);
  const float* const from = update.update;
  const float* const weights = update.weights;
  for_lanes<V>(count, [=](int64_t i, int64_t n) {
    const auto normed = V::mul(V::mul(V::load(from + i, n), inverses), V::load(weights + i, n));
    V::store(x + i, V::mul(V::add(V::load(x + i, n), normed), scales), n);
  });
}

template <typename V>
void mix(float* to, float keep, const float* from, float weight, int64_t count) {
  const auto keeps = V::set(keep);
  const auto weights = V::set(weight);
  for_lanes<V>(count, [=](int64_t i, int64_t n) {
    V::store(to + i, V::fma(V::load(from + i, n), weights, V::mul(V::load(to + i, n), keeps)), n);
  });
}

template <typename V>
void round_to_bf16(const float* x, int64_t count, float* out) {
  for_lanes<V>(count,
               [=](int64_t i, int64_t n) { V::store(out + i, V::round_to_bf16(V::load(x + i, n)), n); });
}

template <typename V>
void to_bf16(const float* x, int64_t count, uint16_t* out) {
  for_lanes<V>(count, [=](int64_t i, int64_t n) { V::store_bf16(out + i, V::load(x + i, n), n); });
}

template <typename V>
void rotate(const float* cosines, const float* sines, int64_t half, float* x) {
  for_lanes<V>(half, [=](int64_t i, int64_t n) {
    const auto a = V::load(x + i, n);
    const auto b = V::load(x + half + i, n);
    const auto cosine = V::load(cosines + i, n);
    const auto sine = V::load(sines + i, n);
    V::store(x + i, V::sub(V::mul(a, cosine), V::mul(b, sine)), n);
    V::store(x + half + i, V::add(V::mul(b, cosine), V::mul(a, sine)), n);
  });
}

}  // namespace beryl::backend::lanes
