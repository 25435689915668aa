// Compiled with the flags of vector_avx512.cc and -mavx512bf16.

#if defined(__AVX512BF16__)

#include "backend/cpu/vector_attention.h"
#include "backend/cpu/vector_kernels.h"
#include "backend/cpu/vector_lanes_avx512.h"

namespace beryl::backend {
namespace {

struct Local;

// AVX-512 with dot products of pairs of bf16 numbers, which take subnormal ones for zero.
struct Avx512Bf16Lanes : lanes::Avx512Lanes<Local> {
  static constexpr bool kHasPairProducts = true;

  using Pairs = __m512i;  // 32 bf16 numbers

  // The first n numbers, 2 * kWidth at most; the others are zero and their memory is not read.
  static Pairs load_pairs(const uint16_t* from, int64_t n) {
    if (n >= 2 * kWidth) return _mm512_loadu_si512(from);
    return _mm512_maskz_loadu_epi16((__mmask32{1} << n) - 1, from);
  }
  // Two numbers, in every lane.
  static Pairs set_pair(const uint16_t* from) {
    int32_t pair;
    __builtin_memcpy(&pair, from, sizeof(pair));
    return _mm512_set1_epi32(pair);
  }
  // The lower or upper halves of a and b in pairs: a[i], b[i].
  static Pairs interleave_low(Pairs a, Pairs b) { return _mm512_permutex2var_epi16(a, interleaved(0), b); }
  static Pairs interleave_high(Pairs a, Pairs b) { return _mm512_permutex2var_epi16(a, interleaved(16), b); }
  // In each lane: sum + the two products of its pairs.
  static F add_pair_products(Pairs a, Pairs b, F sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }

 private:
  // Lane i picks element first + i of the first source and of the second, which starts at 32.
  static __m512i interleaved(int first) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i index = _mm512_add_epi32(lane, _mm512_set1_epi32(first));
    return _mm512_or_si512(index, _mm512_slli_epi32(_mm512_or_si512(index, _mm512_set1_epi32(32)), 16));
  }
};

constexpr VectorKernels kTable = lanes::make_table<Avx512Bf16Lanes>();

}  // namespace

const VectorKernels& avx512_bf16_vector_kernels() {
  return kTable;
}

}  // namespace beryl::backend

#endif
