// The register peak of AVX2's float32 multiply-adds.

#include <immintrin.h>

#include "backend/cpu/peak.h"

namespace beryl::backend {
namespace {

constexpr int kChains = 12;

float run(int64_t rounds) {
  __m256 sums[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) sums[i] = _mm256_setzero_ps();
  const __m256 a = _mm256_set1_ps(0.5F);
  const __m256 b = _mm256_set1_ps(0x1p-10F);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sums[i] = _mm256_fmadd_ps(sums[i], a, b);
  }
  __m256 total = sums[0];
#pragma GCC unroll 12
  for (int i = 1; i < kChains; ++i) total = _mm256_add_ps(total, sums[i]);
  return _mm256_cvtss_f32(total);
}

}  // namespace

PeakLoop peak_avx2() {
  return {.operations = kChains * 8 * 2, .run = run};
}

}  // namespace beryl::backend
