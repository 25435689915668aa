// The register peak of AVX-512's float32 multiply-adds.

#include <immintrin.h>

#include "backend/cpu/peak.h"

namespace beryl::backend {
namespace {

constexpr int kChains = 24;

float run(int64_t rounds) {
  __m512 sums[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) sums[i] = _mm512_setzero_ps();
  const __m512 a = _mm512_set1_ps(0.5F);
  const __m512 b = _mm512_set1_ps(0x1p-10F);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sums[i] = _mm512_fmadd_ps(sums[i], a, b);
  }
  __m512 total = sums[0];
#pragma GCC unroll 24
  for (int i = 1; i < kChains; ++i) total = _mm512_add_ps(total, sums[i]);
  return _mm512_cvtss_f32(total);
}

}  // namespace

PeakLoop peak_avx512() {
  return {.operations = kChains * 16 * 2, .run = run};
}

}  // namespace beryl::backend
