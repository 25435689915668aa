// Compiled with -mavx2 -mfma -mf16c.

#if defined(__AVX2__)

#include <immintrin.h>

#include "backend/cpu/vector_attention.h"
#include "backend/cpu/vector_kernels.h"

namespace beryl::backend {
namespace {

struct Avx2Lanes {
  static constexpr int64_t kWidth = 8;
  static constexpr int64_t kTile = 8;
  static constexpr int64_t kValueTile = 8;
  static constexpr bool kHasPairProducts = false;

  using F = __m256;

  static F zero() { return _mm256_setzero_ps(); }
  static F set(float value) { return _mm256_set1_ps(value); }
  static F load(const float* from) { return _mm256_loadu_ps(from); }
  static F load(const float* from, int64_t n) {
    return n == kWidth ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, first(n));
  }
  static F load_bf16(const uint16_t* from, int64_t n) {
    const __m128i bits =
        n == kWidth ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)) : part(from, n);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  static void store(float* to, F a, int64_t n) {
    if (n == kWidth) {
      _mm256_storeu_ps(to, a);
    } else {
      _mm256_maskstore_ps(to, first(n), a);
    }
  }
  static void store_bf16(uint16_t* to, F a, int64_t n) {
    const __m256i upper = _mm256_srli_epi32(rounded_bits(a), 16);
    const __m128i bits = _mm_packus_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1));
    if (n == kWidth) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bits);
      return;
    }
    alignas(16) uint16_t all[kWidth];
    _mm_store_si128(reinterpret_cast<__m128i*>(all), bits);
    for (int64_t i = 0; i < n; ++i) to[i] = all[i];
  }

  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F div(F a, F b) { return _mm256_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static F min(F a, F b) { return _mm256_min_ps(a, b); }
  static F abs(F a) { return _mm256_andnot_ps(set(-0.0F), a); }
  static F copy_sign(F magnitude, F sign) {
    return _mm256_or_ps(abs(magnitude), _mm256_and_ps(sign, set(-0.0F)));
  }
  static F select_less(F a, F b, F x, F y) { return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
  static F round(F a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // Two factors, since 2^n may be out of range.
  static F times_power_of_two(F a, F n) {
    const __m256i whole = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(whole, 1);
    return mul(mul(a, power_of_two(half)), power_of_two(_mm256_sub_epi32(whole, half)));
  }
  static F round_to_bf16(F a) { return _mm256_castsi256_ps(rounded_bits(a)); }

  static float sum(F a) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  static float max_of(F a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
  static void sum_tile(const F* a, float* out) {
    const F low = sum_four(a);
    const F high = sum_four(a + 4);
    _mm256_storeu_ps(out,
                     add(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31)));
  }

 private:
  static __m256i first(int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
  }
  static __m128i part(const uint16_t* from, int64_t n) {
    alignas(16) uint16_t all[kWidth] = {};
    for (int64_t i = 0; i < n; ++i) all[i] = from[i];
    return _mm_load_si128(reinterpret_cast<const __m128i*>(all));
  }
  static F power_of_two(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
  }
  static __m256i rounded_bits(F a) {
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256 is_nan = _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
    const __m256i result = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(is_nan));
    return _mm256_and_si256(result, _mm256_set1_epi32(static_cast<int>(0xffff0000U)));
  }
  // In each half: the sums of that half of a[0], a[1], a[2] and a[3].
  static F sum_four(const F* a) {
    const F ab = add(_mm256_unpacklo_ps(a[0], a[1]), _mm256_unpackhi_ps(a[0], a[1]));
    const F cd = add(_mm256_unpacklo_ps(a[2], a[3]), _mm256_unpackhi_ps(a[2], a[3]));
    const __m256d x = _mm256_castps_pd(ab);
    const __m256d y = _mm256_castps_pd(cd);
    return add(_mm256_castpd_ps(_mm256_unpacklo_pd(x, y)), _mm256_castpd_ps(_mm256_unpackhi_pd(x, y)));
  }
};

constexpr VectorKernels kTable = lanes::make_table<Avx2Lanes>();

}  // namespace

const VectorKernels& avx2_vector_kernels() {
  return kTable;
}

}  // namespace beryl::backend

#endif
