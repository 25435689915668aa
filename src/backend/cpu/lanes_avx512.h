// The vector vocabulary of matrix_fma.h in AVX-512: sixteen rows in one register. For matrix_avx512*.cc
// alone.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace beryl::backend {
namespace {

using Lanes = __m512;   // 16 floats, one a row
using Words = __m512i;  // 16 words of 32 bits

constexpr int kChains = 4;
constexpr int kTokensAtOnce = 4;

inline Lanes zeros() {
  return _mm512_setzero_ps();
}
inline Lanes all(float value) {
  return _mm512_set1_ps(value);
}
inline Lanes load(const float* from) {
  return _mm512_loadu_ps(from);
}
inline void store(float* to, Lanes value) {
  _mm512_storeu_ps(to, value);
}
inline Lanes add(Lanes a, Lanes b) {
  return _mm512_add_ps(a, b);
}
inline Lanes mul(Lanes a, Lanes b) {
  return _mm512_mul_ps(a, b);
}
inline Lanes fma(Lanes a, Lanes b, Lanes c) {
  return _mm512_fmadd_ps(a, b, c);
}  // a * b + c
inline Lanes fnma(Lanes a, Lanes b, Lanes c) {
  return _mm512_fnmadd_ps(a, b, c);
}  // c - a * b

inline Words load_words(const unsigned char* from) {
  return _mm512_loadu_si512(from);
}
inline Words load_halves(const unsigned char* from) {  // 16 x 16 bits, widened
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline Words load_bytes(const unsigned char* from) {  // 16 x 8 bits, widened
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
template <int kBits>
inline Words right(Words w) {
  return _mm512_srli_epi32(w, kBits);
}
template <int kBits>
inline Words left(Words w) {
  return _mm512_slli_epi32(w, kBits);
}
template <int kBits>
inline Words right_signed(Words w) {
  return _mm512_srai_epi32(w, kBits);
}
inline Words both(Words w, uint32_t mask) {
  return _mm512_and_si512(w, _mm512_set1_epi32(static_cast<int>(mask)));
}
inline Words either(Words a, Words b) {
  return _mm512_or_si512(a, b);
}
inline Words at_least(Words w, uint32_t least) {
  return _mm512_max_epu32(w, _mm512_set1_epi32(static_cast<int>(least)));
}
inline Lanes as_floats(Words w) {
  return _mm512_castsi512_ps(w);
}
inline Lanes to_floats(Words w) {
  return _mm512_cvtepi32_ps(w);
}  // signed integers
// f16 bits in the low halves of the words; the high halves are ignored.
inline Lanes halves_to_floats(Words w) {
  return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(w));
}

struct Table16 {
  Lanes values;
};
inline Table16 load_table(const float* values) {
  return {load(values)};
}
// The values of the low four bits of each word.
inline Lanes look_up(const Table16& table, Words w) {
  return _mm512_permutexvar_ps(w, table.values);
}

// 16 bf16 numbers as floats.
inline void widen16(const uint16_t* from, float* to) {
  store(to, as_floats(left<16>(load_halves(reinterpret_cast<const unsigned char*>(from)))));
}

}  // namespace
}  // namespace beryl::backend
