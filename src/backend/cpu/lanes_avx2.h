// The vector vocabulary of matrix_fma.h in AVX2, FMA and F16C: sixteen rows in two registers. For
// matrix_avx2.cc alone.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace beryl::backend {
namespace {

struct Lanes {  // 16 floats, one a row
  __m256 low;
  __m256 high;
};
struct Words {  // 16 words of 32 bits
  __m256i low;
  __m256i high;
};

constexpr int kChains = 2;
constexpr int kTokensAtOnce = 2;

inline Lanes zeros() {
  return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
inline Lanes all(float value) {
  return {_mm256_set1_ps(value), _mm256_set1_ps(value)};
}
inline Lanes load(const float* from) {
  return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}
inline void store(float* to, Lanes value) {
  _mm256_storeu_ps(to, value.low);
  _mm256_storeu_ps(to + 8, value.high);
}
inline Lanes add(Lanes a, Lanes b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline Lanes mul(Lanes a, Lanes b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline Lanes fma(Lanes a, Lanes b, Lanes c) {  // a * b + c
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Lanes fnma(Lanes a, Lanes b, Lanes c) {  // c - a * b
  return {_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}

inline __m256i load256(const unsigned char* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
inline Words load_words(const unsigned char* from) {
  return {load256(from), load256(from + 32)};
}
inline Words load_halves(const unsigned char* from) {  // 16 x 16 bits, widened
  const __m256i halves = load256(from);
  return {_mm256_cvtepu16_epi32(_mm256_castsi256_si128(halves)),
          _mm256_cvtepu16_epi32(_mm256_extracti128_si256(halves, 1))};
}
inline Words load_bytes(const unsigned char* from) {  // 16 x 8 bits, widened
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
}
template <int kBits>
inline Words right(Words w) {
  return {_mm256_srli_epi32(w.low, kBits), _mm256_srli_epi32(w.high, kBits)};
}
template <int kBits>
inline Words left(Words w) {
  return {_mm256_slli_epi32(w.low, kBits), _mm256_slli_epi32(w.high, kBits)};
}
template <int kBits>
inline Words right_signed(Words w) {
  return {_mm256_srai_epi32(w.low, kBits), _mm256_srai_epi32(w.high, kBits)};
}
inline Words both(Words w, uint32_t mask) {
  const __m256i m = _mm256_set1_epi32(static_cast<int>(mask));
  return {_mm256_and_si256(w.low, m), _mm256_and_si256(w.high, m)};
}
inline Words either(Words a, Words b) {
  return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}
inline Words at_least(Words w, uint32_t least) {
  const __m256i m = _mm256_set1_epi32(static_cast<int>(least));
  return {_mm256_max_epu32(w.low, m), _mm256_max_epu32(w.high, m)};
}
inline Lanes as_floats(Words w) {
  return {_mm256_castsi256_ps(w.low), _mm256_castsi256_ps(w.high)};
}
inline Lanes to_floats(Words w) {
  return {_mm256_cvtepi32_ps(w.low), _mm256_cvtepi32_ps(w.high)};
}
// The low halves of eight words, of at most 16 bits each.
inline __m128i narrow(__m256i w) {
  return _mm_packus_epi32(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
}
// f16 bits in the low halves of the words; the high halves are ignored.
inline Lanes halves_to_floats(Words w) {
  const Words low = both(w, 0xffffU);
  return {_mm256_cvtph_ps(narrow(low.low)), _mm256_cvtph_ps(narrow(low.high))};
}

struct Table16 {
  __m256 first;   // values of codes 0 to 7
  __m256 second;  // values of codes 8 to 15
};
inline Table16 load_table(const float* values) {
  return {_mm256_loadu_ps(values), _mm256_loadu_ps(values + 8)};
}
inline __m256 look_up8(const Table16& table, __m256i w) {
  const __m256 a = _mm256_permutevar8x32_ps(table.first, w);
  const __m256 b = _mm256_permutevar8x32_ps(table.second, w);
  return _mm256_blendv_ps(a, b, _mm256_castsi256_ps(_mm256_slli_epi32(w, 28)));
}
// The values of the low four bits of each word.
inline Lanes look_up(const Table16& table, Words w) {
  return {look_up8(table, w.low), look_up8(table, w.high)};
}

// 16 bf16 numbers as floats.
inline void widen16(const uint16_t* from, float* to) {
  store(to, as_floats(left<16>(load_halves(reinterpret_cast<const unsigned char*>(from)))));
}

}  // namespace
}  // namespace beryl::backend
