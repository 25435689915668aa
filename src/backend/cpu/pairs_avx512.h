// Code lines as pairs of bf16 numbers, for matrix_avx512_bf16.cc alone: two neighbouring inputs of 16 rows in
// one register, which is what a bf16 dot product takes.
#pragma once

#include "backend/cpu/lanes_avx512.h"
#include "backend/cpu/matrix_fma.h"
#include "backend/cpu/matrix_product.h"

namespace beryl::backend {
namespace {

using Pairs = __m512i;  // two neighbouring inputs of 16 rows, as bf16

// ---- Expanders of one code line to pairs, in the order of the inputs ----

struct PairsBf16 {
  static constexpr int kPairs = 1;
  explicit PairsBf16(const PanelShape&) {}
  void expand(const unsigned char* line, Pairs* out) const { out[0] = load_words(line); }
};

// Tables are made for each product, some of which are small, so making them is quick too.

// bf16 of all byte codes, as tables of high and low bytes for each half of the codes.
struct ByteTables {
  __m512i high[4];
  __m512i low[4];
};

inline ByteTables byte_tables(const float* values) {
  alignas(64) unsigned char high[256];
  alignas(64) unsigned char low[256];
  for (int code = 0; code < 256; code += 16) {
    const __m512i bits = _mm512_loadu_si512(values + code);
    _mm_store_si128(reinterpret_cast<__m128i*>(high + code),
                    _mm512_cvtepi32_epi8(_mm512_srli_epi32(bits, 24)));
    _mm_store_si128(reinterpret_cast<__m128i*>(low + code),
                    _mm512_cvtepi32_epi8(_mm512_srli_epi32(bits, 16)));
  }
  ByteTables tables;
  for (int i = 0; i < 4; ++i) {
    tables.high[i] = _mm512_load_si512(high + 64 * i);
    tables.low[i] = _mm512_load_si512(low + 64 * i);
  }
  return tables;
}

// Bytes of the even inputs (in the low bytes of the halves) and of the odd ones, put together.
inline void join(__m512i high, __m512i low, Pairs* out) {
  const __m512i upper = _mm512_set1_epi16(static_cast<short>(0xff00));
  // 0xCA: where the mask has a one the first, else the second.
  out[0] = _mm512_ternarylogic_epi32(upper, _mm512_slli_epi16(high, 8), low, 0xCA);
  out[1] = _mm512_ternarylogic_epi32(upper, high, _mm512_srli_epi16(low, 8), 0xCA);
}

// E4M3: the sign is apart, so half a table is enough.
struct PairsE4m3 {
  static constexpr int kPairs = 2;
  explicit PairsE4m3(const PanelShape& shape) : tables(byte_tables(shape.code_values)) {}
  void expand(const unsigned char* line, Pairs* out) const {
    const __m512i w = load_words(line);
    const __m512i high = _mm512_permutex2var_epi8(tables.high[0], w, tables.high[1]);
    const __m512i low = _mm512_permutex2var_epi8(tables.low[0], w, tables.low[1]);
    // 0xF8: high | (w & mask).
    join(_mm512_ternarylogic_epi32(high, w, _mm512_set1_epi8(static_cast<char>(0x80)), 0xF8), low, out);
  }
  ByteTables tables;
};

// Any byte code.
struct PairsByte {
  static constexpr int kPairs = 2;
  explicit PairsByte(const PanelShape& shape) : tables(byte_tables(shape.code_values)) {}
  void expand(const unsigned char* line, Pairs* out) const {
    const __m512i w = load_words(line);
    const __mmask64 upper = _mm512_movepi8_mask(w);
    const __m512i high =
        _mm512_mask_blend_epi8(upper, _mm512_permutex2var_epi8(tables.high[0], w, tables.high[1]),
                               _mm512_permutex2var_epi8(tables.high[2], w, tables.high[3]));
    const __m512i low =
        _mm512_mask_blend_epi8(upper, _mm512_permutex2var_epi8(tables.low[0], w, tables.low[1]),
                               _mm512_permutex2var_epi8(tables.low[2], w, tables.low[3]));
    join(high, low, out);
  }
  ByteTables tables;
};

// `count` values (16, 32 or 64) as bf16, repeated to fill 64 entries.
struct HalfTable {
  __m512i first;
  __m512i second;
};
inline HalfTable half_table(const float* values, int count) {
  alignas(64) uint16_t bits[64];
  for (int i = 0; i < 64; i += 16) {
    const __m512i words = _mm512_loadu_si512(values + i % count);
    _mm256_store_si256(reinterpret_cast<__m256i*>(bits + i),
                       _mm512_cvtepi32_epi16(_mm512_srli_epi32(words, 16)));
  }
  return {_mm512_load_si512(bits), _mm512_load_si512(bits + 32)};
}

// Four bits: index bits above the fourth do not matter, the table repeats.
struct PairsNibble {
  static constexpr int kPairs = 4;
  explicit PairsNibble(const PanelShape& shape) : table(half_table(shape.code_values, 16).first) {}
  void expand(const unsigned char* line, Pairs* out) const {
    const __m512i w = load_words(line);
    out[0] = _mm512_permutexvar_epi16(w, table);
    out[1] = _mm512_permutexvar_epi16(_mm512_srli_epi16(w, 4), table);
    out[2] = _mm512_permutexvar_epi16(_mm512_srli_epi16(w, 8), table);
    out[3] = _mm512_permutexvar_epi16(_mm512_srli_epi16(w, 12), table);
  }
  __m512i table;
};

// Five or six bits: the plane line's bits above the code line's four.
struct PairsPlane {
  static constexpr int kPairs = 4;
  explicit PairsPlane(const PanelShape& shape)
      : table(half_table(shape.code_values, 16 << shape.plane_bits)),
        bits(static_cast<unsigned>(shape.plane_bits)),
        mask(_mm512_set1_epi16(static_cast<short>(((1 << shape.plane_bits) - 1) << 4))) {}
  void expand(const unsigned char* line, __m512i plane, Pairs* out) const {
    const __m512i w = load_words(line);
    const __m512i index[4] = {w, _mm512_srli_epi16(w, 4), _mm512_srli_epi16(w, 8), _mm512_srli_epi16(w, 12)};
    __m512i high = _mm512_slli_epi16(plane, 4);
    const __m128i step = _mm_cvtsi32_si128(static_cast<int>(bits));
    for (int pair = 0; pair < 4; ++pair) {
      const __m512i code = _mm512_ternarylogic_epi32(mask, high, index[pair], 0xCA);
      out[pair] = _mm512_permutex2var_epi16(table.first, code, table.second);
      // The next pair's bits: from the plane, because `high` has lost them above bit 15.
      plane = _mm512_srl_epi16(plane, step);
      high = _mm512_slli_epi16(plane, 4);
    }
  }
  HalfTable table;
  unsigned bits;
  __m512i mask;
};

template <typename Codes>
inline void expand_line(const Codes& codes, const PanelShape&, const Segment& segment, int64_t line,
                        Pairs* out) {
  codes.expand(segment.lines + line * 64, out);
}
inline void expand_line(const PairsPlane& codes, const PanelShape& shape, const Segment& segment,
                        int64_t line, Pairs* out) {
  codes.expand(segment.lines + line * 64, plane_from(shape, segment.planes, segment.first / 8 + line), out);
}

inline Lanes dot_pairs(Lanes sum, Pairs a, __m512i b) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}
// One pair of inputs of a token in all lanes.
inline __m512i broadcast_pair(const uint16_t* x) {
  int32_t pair;
  __builtin_memcpy(&pair, x, sizeof(pair));
  return _mm512_set1_epi32(pair);
}
inline const uint16_t* x_of(const MatrixProduct& p, int64_t token) {
  return static_cast<const uint16_t*>(p.x) + x_row(p, token) * p.x_stride;
}

}  // namespace
}  // namespace beryl::backend
