// The lanes of AVX-512: sixteen floats. `Tag` is local to the file that uses them, so their code is too.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace beryl::backend::lanes {

template <typename Tag>
struct Avx512Lanes {
  static constexpr int64_t kWidth = 16;
  static constexpr int64_t kTile = 16;
  static constexpr int64_t kValueTile = 16;
  static constexpr bool kHasPairProducts = false;

  using F = __m512;

  static F zero() { return _mm512_setzero_ps(); }
  static F set(float value) { return _mm512_set1_ps(value); }
  static F load(const float* from) { return _mm512_loadu_ps(from); }
  static F load(const float* from, int64_t n) {
    return n == kWidth ? _mm512_loadu_ps(from) : _mm512_maskz_loadu_ps(first(n), from);
  }
  static F load_bf16(const uint16_t* from, int64_t n) {
    const __m256i bits = n == kWidth ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))
                                     : _mm256_maskz_loadu_epi16(first(n), from);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static void store(float* to, F a, int64_t n) {
    if (n == kWidth) {
      _mm512_storeu_ps(to, a);
    } else {
      _mm512_mask_storeu_ps(to, first(n), a);
    }
  }
  static void store_bf16(uint16_t* to, F a, int64_t n) {
    const __m256i bits = _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded_bits(a), 16));
    _mm256_mask_storeu_epi16(to, first(n), bits);
  }

  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F abs(F a) { return _mm512_abs_ps(a); }
  static F copy_sign(F magnitude, F sign) {
    return _mm512_or_ps(_mm512_abs_ps(magnitude), _mm512_and_ps(sign, _mm512_set1_ps(-0.0F)));
  }
  static F select_less(F a, F b, F x, F y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
  }
  static F round(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F times_power_of_two(F a, F n) { return _mm512_scalef_ps(a, n); }
  static F round_to_bf16(F a) { return _mm512_castsi512_ps(rounded_bits(a)); }

  static float sum(F a) {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
  }
  static float max_of(F a) { return _mm512_reduce_max_ps(a); }
  // Sums within quarters of four vectors at once, then across quarters.
  static void sum_tile(const F* a, float* out) {
    const F v0 = add_halves(sum_four(a), sum_four(a + 4));
    const F v1 = add_halves(sum_four(a + 8), sum_four(a + 12));
    _mm512_storeu_ps(out,
                     _mm512_add_ps(_mm512_shuffle_f32x4(v0, v1, 0x88), _mm512_shuffle_f32x4(v0, v1, 0xdd)));
  }

 private:
  static __mmask16 first(int64_t n) { return static_cast<__mmask16>((1U << n) - 1U); }

  static __m512i rounded_bits(F a) {
    const __m512i bits = _mm512_castps_si512(a);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __mmask16 is_nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    const __m512i result = _mm512_mask_or_epi32(rounded, is_nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_and_si512(result, _mm512_set1_epi32(static_cast<int>(0xffff0000U)));
  }

  // In each quarter: the sums of that quarter of a[0], a[1], a[2] and a[3].
  static F sum_four(const F* a) {
    const F ab = _mm512_add_ps(_mm512_unpacklo_ps(a[0], a[1]), _mm512_unpackhi_ps(a[0], a[1]));
    const F cd = _mm512_add_ps(_mm512_unpacklo_ps(a[2], a[3]), _mm512_unpackhi_ps(a[2], a[3]));
    const __m512d x = _mm512_castps_pd(ab);
    const __m512d y = _mm512_castps_pd(cd);
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
  }
  // Quarters a0 + a2, a1 + a3, b0 + b2, b1 + b3.
  static F add_halves(F a, F b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
};

}  // namespace beryl::backend::lanes
