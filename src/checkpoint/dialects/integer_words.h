// What GPTQ, AWQ and AutoRound share: unsigned integers in 32-bit words, with a scale and a zero point for
// each output row and group of inputs. Tensors of a module of N rows, K inputs and groups of g inputs:
//
//   scales   float [K/g rounded up, N]
//   input words   qweight I32 [K*bits/32, N]: a word holds successive inputs of one row
//                 qzeros  I32 [K/g rounded up, N*bits/32]: a word holds successive rows
//                 g_idx   I32 [K]: the group of each input; absent where that is k / g
//   output words  qweight I32 [K, N/8] and qzeros I32 [K/g rounded up, N/8]: a word holds 4-bit numbers of
//                 eight rows, in the order 0, 2, 4, 6, 1, 3, 5, 7 from the low bits up
//
// value[n, k] = (code - zero) * scale; scales may be negative.
#pragma once

#include <cstdint>
#include <string_view>

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

// Reads the fields bits, group_size (-1: one group a row), sym and desc_act; what is absent is as in `base`.
QuantizationScheme read_integer_scheme(const ConfigFields& fields, QuantizationScheme base);

// Whether the module has tensors of the kind above, complete or not.
bool has_integer_words(const Module& module);

// Adds the matrix of a module in input words, of 4 or 8 bits; `zero_added` as in ZeroPoints::added.
// Errors: as Dialect::read().
void read_input_words(const Module& module, const ModuleShape& shape, const QuantizationScheme& scheme,
                      int64_t zero_added, ModuleReading& reading);

// The same for output words, of 4 bits.
void read_output_words(const Module& module, const ModuleShape& shape, const QuantizationScheme& scheme,
                       ModuleReading& reading);

}  // namespace beryl::checkpoint
