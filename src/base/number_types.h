// Conversions between float32 and the narrow number types of checkpoints, exact and branch-light.
//
// bf16: the upper half of a float32. f16: IEEE binary16. e4m3: FP8 "E4M3FN" (bias 7, no infinity, 0x7F and
// 0xFF are NaN, largest 448). e8m0: a power of two as a biased exponent (0xFF is NaN). Decoding is exact for
// every bit pattern; encoding rounds to nearest, ties to even.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace beryl {

constexpr float bf16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// NaN stays NaN (made quiet); overflow gives infinity.
constexpr uint16_t float_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

constexpr float round_to_bf16(float value) {
  return bf16_to_float(float_to_bf16(value));
}

constexpr float f16_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fU;
  const uint32_t mantissa = bits & 0x3ffU;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  // Zero or subnormal: mantissa * 2^-24, an exact product of normal float32 numbers.
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

constexpr float e4m3_to_float(uint8_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x80U) << 24;
  const uint32_t exponent = (bits >> 3) & 0xfU;
  const uint32_t mantissa = bits & 0x7U;
  if (exponent == 0xf && mantissa == 7) return std::bit_cast<float>(sign | 0x7fc00000U);
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 120) << 23) | (mantissa << 20));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-9F;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

// e4m3_to_float for all 256 codes.
inline constexpr std::array<float, 256> kE4m3Values = [] {
  std::array<float, 256> values{};
  for (uint32_t code = 0; code < 256; ++code) values[code] = e4m3_to_float(static_cast<uint8_t>(code));
  return values;
}();

// 2^(bits - 127), a subnormal float32 for 0.
constexpr float e8m0_to_float(uint8_t bits) {
  if (bits == 0xff) return std::bit_cast<float>(0x7fc00000U);
  return std::bit_cast<float>(bits == 0 ? 0x00400000U : static_cast<uint32_t>(bits) << 23);
}

// The bits of a number that f16 holds exactly.
constexpr uint16_t exact_f16_bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000U;
  const float magnitude = std::bit_cast<float>(bits & 0x7fffffffU);
  if (magnitude < 0x1p-14F) return static_cast<uint16_t>(sign | static_cast<uint32_t>(magnitude * 0x1p24F));
  return static_cast<uint16_t>(sign | ((bits & 0x7fffffffU) - (112U << 23)) >> 13);
}

// The bits of a number that e4m3 holds exactly.
constexpr uint8_t exact_e4m3_bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 24 & 0x80U;
  const float magnitude = std::bit_cast<float>(bits & 0x7fffffffU);
  if (magnitude < 0x1p-6F) return static_cast<uint8_t>(sign | static_cast<uint32_t>(magnitude * 0x1p9F));
  return static_cast<uint8_t>(sign | ((bits & 0x7fffffffU) - (120U << 23)) >> 20);
}

}  // namespace beryl
