// Vectors of kCount lanes of 16 bytes. Shuffles stay within a lane, so that what is written for one lane is
// right for several that lie apart in memory: several blocks at a time.
//
// All here is in an unnamed namespace: files compiled for an instruction set have a copy of their own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "formats/word_tiles.h"

namespace beryl::formats {
namespace {

template <int kCount>
struct VectorTypes;
template <>
struct VectorTypes<1> {
  using Words = uint32_t __attribute__((vector_size(16)));
  using Halves = uint16_t __attribute__((vector_size(16)));
  using Bytes = uint8_t __attribute__((vector_size(16)));
};
template <>
struct VectorTypes<2> {
  using Words = uint32_t __attribute__((vector_size(32)));
  using Halves = uint16_t __attribute__((vector_size(32)));
  using Bytes = uint8_t __attribute__((vector_size(32)));
};
template <>
struct VectorTypes<4> {
  using Words = uint32_t __attribute__((vector_size(64)));
  using Halves = uint16_t __attribute__((vector_size(64)));
  using Bytes = uint8_t __attribute__((vector_size(64)));
};

template <int kCount>
struct Lanes {
  using Words = typename VectorTypes<kCount>::Words;
  using Halves = typename VectorTypes<kCount>::Halves;
  using Bytes = typename VectorTypes<kCount>::Bytes;
  using Lane = typename VectorTypes<1>::Words;

  static Words load(const void* from) { return load_word<Words>(from); }

  // Lane i from `from + i * stride`.
  static Words load_each(const std::byte* from, int64_t stride) {
    const auto a = load_word<Lane>(from);
    if constexpr (kCount == 1) return a;
    if constexpr (kCount > 1) {
      const auto b = load_word<Lane>(from + stride);
      const auto ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
      if constexpr (kCount == 2) return ab;
      if constexpr (kCount == 4) {
        const auto c = load_word<Lane>(from + 2 * stride);
        const auto d = load_word<Lane>(from + 3 * stride);
        const auto cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7);
        return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
      }
    }
  }

  // The first kBytes (8 or 16) bytes of lane i to `to + i * stride`.
  template <int kBytes = 16>
  static void store_each(std::byte* to, int64_t stride, Words words) {
    const auto store = [&](int64_t lane, Lane one) { __builtin_memcpy(to + lane * stride, &one, kBytes); };
    store(0, __builtin_shufflevector(words, words, 0, 1, 2, 3));
    if constexpr (kCount > 1) store(1, __builtin_shufflevector(words, words, 4, 5, 6, 7));
    if constexpr (kCount > 2) {
      store(2, __builtin_shufflevector(words, words, 8, 9, 10, 11));
      store(3, __builtin_shufflevector(words, words, 12, 13, 14, 15));
    }
  }

  // The lowest byte of each half word, of `a` to the low half of a lane, of `b` to the high one. The other
  // bytes are zero.
  static Words pack(Halves a, Halves b) {
    const auto x = reinterpret_cast<Bytes>(a);
    const auto y = reinterpret_cast<Bytes>(b);
    if constexpr (kCount == 1) {
      return reinterpret_cast<Words>(
          __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
    } else if constexpr (kCount == 2) {
      return reinterpret_cast<Words>(
          __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 32, 34, 36, 38, 40, 42, 44, 46,  //
                                  16, 18, 20, 22, 24, 26, 28, 30, 48, 50, 52, 54, 56, 58, 60, 62));
    } else {
      return reinterpret_cast<Words>(
          __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 64, 66, 68, 70, 72, 74, 76, 78,  //
                                  16, 18, 20, 22, 24, 26, 28, 30, 80, 82, 84, 86, 88, 90, 92, 94,   //
                                  32, 34, 36, 38, 40, 42, 44, 46, 96, 98, 100, 102, 104, 106, 108, 110, 48,
                                  50, 52, 54, 56, 58, 60, 62, 112, 114, 116, 118, 120, 122, 124, 126));
    }
  }

  // The low halves of each two lanes, then their high halves; not for one lane.
  static Words sort_halves_of_two(Words a) {
    if constexpr (kCount == 2) {
      return __builtin_shufflevector(a, a, 0, 1, 4, 5, 2, 3, 6, 7);
    } else {
      return __builtin_shufflevector(a, a, 0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    }
  }
  // The same of all lanes, of which there are four.
  static Words sort_halves(Words a) {
    return __builtin_shufflevector(a, a, 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
  }

  // Of each lane the two bytes from which on each pair of codes of kBits bits begins, pairs following each
  // other; not for one lane.
  template <int kBits>
  static Bytes spread_pairs(Bytes bytes) {
    constexpr auto at = [](int byte) { return byte / 16 * 16 + byte % 16 / 2 * kBits / 4 + byte % 2; };
    if constexpr (kCount == 2) {
      return __builtin_shufflevector(bytes, bytes, at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7),
                                     at(8), at(9), at(10), at(11), at(12), at(13), at(14), at(15), at(16),
                                     at(17), at(18), at(19), at(20), at(21), at(22), at(23), at(24), at(25),
                                     at(26), at(27), at(28), at(29), at(30), at(31));
    } else {
      return __builtin_shufflevector(
          bytes, bytes, at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8), at(9), at(10), at(11),
          at(12), at(13), at(14), at(15), at(16), at(17), at(18), at(19), at(20), at(21), at(22), at(23),
          at(24), at(25), at(26), at(27), at(28), at(29), at(30), at(31), at(32), at(33), at(34), at(35),
          at(36), at(37), at(38), at(39), at(40), at(41), at(42), at(43), at(44), at(45), at(46), at(47),
          at(48), at(49), at(50), at(51), at(52), at(53), at(54), at(55), at(56), at(57), at(58), at(59),
          at(60), at(61), at(62), at(63));
    }
  }

  // Four rows of four words become four columns, in each lane.
  struct Square {
    Words columns[4];
  };
  static Square transpose(Words a, Words b, Words c, Words d) {
    if constexpr (kCount == 1) {
      const auto columns = transpose_words(a, b, c, d);
      return {{columns[0], columns[1], columns[2], columns[3]}};
    } else {
      const Words ab_low = zip_words<0>(a, b);
      const Words ab_high = zip_words<2>(a, b);
      const Words cd_low = zip_words<0>(c, d);
      const Words cd_high = zip_words<2>(c, d);
      return {{zip_pairs<0>(ab_low, cd_low), zip_pairs<2>(ab_low, cd_low), zip_pairs<0>(ab_high, cd_high),
               zip_pairs<2>(ab_high, cd_high)}};
    }
  }

  // Lane i of a, b, c and d, one after the other, to lines[4 * i].
  static void store_lines(Words a, Words b, Words c, Words d, std::byte* const* lines) {
    if constexpr (kCount == 1) {
      store_words(lines[0], a);
      store_words(lines[0] + 16, b);
      store_words(lines[0] + 32, c);
      store_words(lines[0] + 48, d);
    } else if constexpr (kCount == 2) {
      store_words(lines[0], __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11));
      store_words(lines[0] + 32, __builtin_shufflevector(c, d, 0, 1, 2, 3, 8, 9, 10, 11));
      store_words(lines[4], __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15));
      store_words(lines[4] + 32, __builtin_shufflevector(c, d, 4, 5, 6, 7, 12, 13, 14, 15));
    } else {
      const Words ab_even = even_lanes(a, b);
      const Words cd_even = even_lanes(c, d);
      const Words ab_odd = odd_lanes(a, b);
      const Words cd_odd = odd_lanes(c, d);
      store_words(lines[0], even_lanes(ab_even, cd_even));
      store_words(lines[8], odd_lanes(ab_even, cd_even));
      store_words(lines[4], even_lanes(ab_odd, cd_odd));
      store_words(lines[12], odd_lanes(ab_odd, cd_odd));
    }
  }

 private:
  // Words kFirst and kFirst + 1 of a lane, by turns of a and b.
  template <int kFirst>
  static Words zip_words(Words a, Words b) {
    constexpr int k = kFirst;
    if constexpr (kCount == 2) {
      return __builtin_shufflevector(a, b, k, 8 + k, 1 + k, 9 + k, 4 + k, 12 + k, 5 + k, 13 + k);
    } else {
      return __builtin_shufflevector(a, b, k, 16 + k, 1 + k, 17 + k, 4 + k, 20 + k, 5 + k, 21 + k, 8 + k,
                                     24 + k, 9 + k, 25 + k, 12 + k, 28 + k, 13 + k, 29 + k);
    }
  }
  // The same words, first those of a.
  template <int kFirst>
  static Words zip_pairs(Words a, Words b) {
    constexpr int k = kFirst;
    if constexpr (kCount == 2) {
      return __builtin_shufflevector(a, b, k, 1 + k, 8 + k, 9 + k, 4 + k, 5 + k, 12 + k, 13 + k);
    } else {
      return __builtin_shufflevector(a, b, k, 1 + k, 16 + k, 17 + k, 4 + k, 5 + k, 20 + k, 21 + k, 8 + k,
                                     9 + k, 24 + k, 25 + k, 12 + k, 13 + k, 28 + k, 29 + k);
    }
  }
  static Words even_lanes(Words a, Words b) {
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
  }
  static Words odd_lanes(Words a, Words b) {
    return __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  }
};

}  // namespace
}  // namespace beryl::formats
