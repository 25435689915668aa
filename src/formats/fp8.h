// FP8 E4M3FN codes with one float scale for each row or for the whole matrix.
//
//   value[n, k] = e4m3(code[n, k]) * scale[n]        (or scale[0])
//
// One float32 product, which is exact for bf16 scales. Codes 0x7F and 0xFF are NaN and refused; 0x80 is minus
// zero and common in published files.
#pragma once

#include <cstddef>
#include <span>

namespace beryl::formats {

// Decodes one row of codes under its scale.
void decode_fp8_row(std::span<const std::byte> codes, float scale, std::span<float> out);

}  // namespace beryl::formats
