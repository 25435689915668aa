// The register peak of AVX-512's bf16 dot products: 32 products a register.

#include <immintrin.h>

#include "backend/cpu/peak.h"

namespace beryl::backend {
namespace {

constexpr int kChains = 24;

float run(int64_t rounds) {
  __m512 sums[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) sums[i] = _mm512_setzero_ps();
  // As bits: a bf16 vector cannot be made of floats without a conversion that is beside the point.
  const auto a = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f00));  // 0.5
  const auto b = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3a80));  // 2^-10
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sums[i] = _mm512_dpbf16_ps(sums[i], a, b);
  }
  __m512 total = sums[0];
#pragma GCC unroll 24
  for (int i = 1; i < kChains; ++i) total = _mm512_add_ps(total, sums[i]);
  return _mm512_cvtss_f32(total);
}

}  // namespace

PeakLoop peak_avx512_bf16() {
  return {.operations = kChains * 32 * 2, .run = run};
}

}  // namespace beryl::backend
