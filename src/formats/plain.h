// Unquantised elements: bf16, IEEE f16 and f32, little-endian. value = element, exactly.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "formats/dtype.h"

namespace beryl::formats {

// As f16_to_float(), bit for bit, but without branches: for loops over many.
constexpr float widen_f16(uint16_t bits) {
  const uint32_t magnitude = (bits & 0x7fffU) << 13;
  const uint32_t exponent = bits & 0x7c00U;
  const uint32_t rebiased = magnitude + (exponent == 0x7c00U ? 224U << 23 : 112U << 23);
  // A subnormal becomes the mantissa of 2^-14 * 1.m, of which 2^-14 is taken.
  const float subnormal = std::bit_cast<float>(magnitude + (113U << 23)) - 0x1p-14F;
  const uint32_t unsigned_bits = exponent == 0 ? std::bit_cast<uint32_t>(subnormal) : rebiased;
  return std::bit_cast<float>(unsigned_bits | (bits & 0x8000U) << 16);
}

// True for the three types that decode_plain() reads.
bool is_plain(DType dtype);

// Decodes out.size() elements. `bytes` need not be aligned and holds exactly that many elements.
void decode_plain(DType dtype, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace beryl::formats
