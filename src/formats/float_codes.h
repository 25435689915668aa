// Formats whose codes are small floats.
//
//   FP8     value = e4m3(code) * scale              scale of the row, the tensor or a block, a float
//   MXFP8   value = e4m3(code) * 2^(s - 127)        s: a byte for each 32 inputs (E8M0)
//   MXFP4   value = e2m1(code) * 2^(s - 127)
//   NVFP4   value = e2m1(code) * (e4m3(s) op g)     s: a byte for each 16 inputs; g: a float32 of the tensor
//
// op is a division in compressed-tensors, a product in ModelOpt; the quotient or product is rounded to
// float32 before it meets the code. E4M3 codes 0x7F and 0xFF are NaN and refused; 0x80 (minus zero) is
// common, and so is the FP4 code 8. Two FP4 codes share a byte, the first in its low half.
#pragma once

#include <array>

namespace beryl::formats {

// FP4 "E2M1", by code.
inline constexpr std::array<float, 16> kE2m1Values = {0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,  4.0F,  6.0F,
                                                      -0.0F, -0.5F, -1.0F, -1.5F, -2.0F, -3.0F, -4.0F, -6.0F};

}  // namespace beryl::formats
