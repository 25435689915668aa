// NF4 of bitsandbytes: 4-bit indices into a table of sixteen values, one scale for each 64 successive
// elements of the whole matrix, counted row by row, so that a block may begin in one row and end in the next.
//
//   value[i] = table[code[i]] * absmax[i / 64]
//
// absmax is a float32, or a byte b with absmax = map[b] * nested[block / 256] + offset, product and sum each
// rounded to float32. The first of two codes is in the high half of its byte.
#pragma once

#include <array>

namespace beryl::formats {

inline constexpr std::array<float, 16> kNf4Values = {-1.0F,
                                                     -0.6961928009986877F,
                                                     -0.5250730514526367F,
                                                     -0.39491748809814453F,
                                                     -0.28444138169288635F,
                                                     -0.18477343022823334F,
                                                     -0.09105003625154495F,
                                                     0.0F,
                                                     0.07958029955625534F,
                                                     0.16093020141124725F,
                                                     0.24611230194568634F,
                                                     0.33791524171829224F,
                                                     0.44070982933044434F,
                                                     0.5626170039176941F,
                                                     0.7229568362236023F,
                                                     1.0F};

}  // namespace beryl::formats
