// The portable lanes: plain loops over eight floats, and the vocabulary that each instruction set offers.

#include "backend/cpu/vector_attention.h"
#include "backend/cpu/vector_kernels.h"

namespace beryl::backend {
namespace {

uint32_t bits_of(float value) {
  return __builtin_bit_cast(uint32_t, value);
}
float float_of(uint32_t bits) {
  return __builtin_bit_cast(float, bits);
}

struct PortableLanes {
  // Lanes of F.
  static constexpr int64_t kWidth = 8;
  // Sums that a tile of scores or of values holds.
  static constexpr int64_t kTile = 4;
  static constexpr int64_t kValueTile = 4;
  // Whether there are Pairs: bf16 numbers whose products are added in twos. See vector_lanes_avx512.h.
  static constexpr bool kHasPairProducts = false;

  struct F {
    float at[kWidth];
  };

  template <typename Body>
  static F each(Body body) {
    F out;
    for (int64_t i = 0; i < kWidth; ++i) out.at[i] = body(i);
    return out;
  }

  static F zero() { return set(0.0F); }
  static F set(float value) {
    return each([=](int64_t) { return value; });
  }
  static F load(const float* from) {
    return each([=](int64_t i) { return from[i]; });
  }
  // The first n lanes; the others are zero and their memory is not read.
  static F load(const float* from, int64_t n) {
    if (n == kWidth) return load(from);
    return each([=](int64_t i) { return i < n ? from[i] : 0.0F; });
  }
  static F load_bf16(const uint16_t* from, int64_t n) {
    if (n == kWidth) return each([=](int64_t i) { return float_of(uint32_t{from[i]} << 16); });
    return each([=](int64_t i) { return i < n ? float_of(uint32_t{from[i]} << 16) : 0.0F; });
  }
  static void store(float* to, const F& a, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] = a.at[i];
  }
  static void store_bf16(uint16_t* to, const F& a, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<uint16_t>(rounded_bits(a.at[i]) >> 16);
  }

  static F add(const F& a, const F& b) {
    return each([&](int64_t i) { return a.at[i] + b.at[i]; });
  }
  static F sub(const F& a, const F& b) {
    return each([&](int64_t i) { return a.at[i] - b.at[i]; });
  }
  static F mul(const F& a, const F& b) {
    return each([&](int64_t i) { return a.at[i] * b.at[i]; });
  }
  static F div(const F& a, const F& b) {
    return each([&](int64_t i) { return a.at[i] / b.at[i]; });
  }
  // a * b + c, here rounded twice.
  static F fma(const F& a, const F& b, const F& c) {
    return each([&](int64_t i) { return a.at[i] * b.at[i] + c.at[i]; });
  }
  // The second argument when either is NaN.
  static F max(const F& a, const F& b) {
    return each([&](int64_t i) { return a.at[i] > b.at[i] ? a.at[i] : b.at[i]; });
  }
  static F min(const F& a, const F& b) {
    return each([&](int64_t i) { return a.at[i] < b.at[i] ? a.at[i] : b.at[i]; });
  }
  static F abs(const F& a) {
    return each([&](int64_t i) { return float_of(bits_of(a.at[i]) & 0x7fffffffU); });
  }
  static F copy_sign(const F& magnitude, const F& sign) {
    return each([&](int64_t i) {
      return float_of((bits_of(magnitude.at[i]) & 0x7fffffffU) | (bits_of(sign.at[i]) & 0x80000000U));
    });
  }
  // a < b ? x : y
  static F select_less(const F& a, const F& b, const F& x, const F& y) {
    return each([&](int64_t i) { return a.at[i] < b.at[i] ? x.at[i] : y.at[i]; });
  }
  // To the nearest whole number, of |a| < 2^22.
  static F round(const F& a) {
    return each([&](int64_t i) { return (a.at[i] + kRounder) - kRounder; });
  }
  // a * 2^n for whole n, |n| <= 160, rounded once. Two factors, since 2^n may be out of range.
  static F times_power_of_two(const F& a, const F& n) {
    return each([&](int64_t i) {
      const uint32_t whole = bits_of(n.at[i] + kRounder) - bits_of(kRounder);
      const uint32_t half = static_cast<uint32_t>(static_cast<int32_t>(whole) >> 1);
      return a.at[i] * float_of((half + 127) << 23) * float_of((whole - half + 127) << 23);
    });
  }
  static F round_to_bf16(const F& a) {
    return each([&](int64_t i) { return float_of(rounded_bits(a.at[i])); });
  }

  // The sum and the largest of all lanes, in halves.
  static float sum(F a) {
    for (int64_t half = kWidth / 2; half >= 1; half /= 2) {
      for (int64_t i = 0; i < half; ++i) a.at[i] += a.at[i + half];
    }
    return a.at[0];
  }
  static float max_of(const F& a) {
    float result = a.at[0];
    for (int64_t i = 1; i < kWidth; ++i) result = a.at[i] > result ? a.at[i] : result;
    return result;
  }
  // out[i] = sum of the lanes of a[i], in the same order for each i.
  static void sum_tile(const F* a, float* out) {
    for (int64_t i = 0; i < kTile; ++i) out[i] = sum(a[i]);
  }

 private:
  // Adding it drops the fraction and leaves the whole number in the low bits.
  static constexpr float kRounder = 0x1.8p23F;

  // The upper half is the bf16 number, the lower zero. NaN becomes quiet.
  static uint32_t rounded_bits(float value) {
    const uint32_t bits = bits_of(value);
    const uint32_t rounded = bits + 0x7fffU + ((bits >> 16) & 1U);
    return ((bits & 0x7fffffffU) > 0x7f800000U ? bits | 0x400000U : rounded) & 0xffff0000U;
  }
};

constexpr VectorKernels kTable = lanes::make_table<PortableLanes>();

}  // namespace

const VectorKernels& portable_vector_kernels() {
  return kTable;
}

}  // namespace beryl::backend
