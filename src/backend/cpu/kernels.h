// The kernel table: the inner loops of one instruction set, chosen once when a backend is made.
//
// The portable set is the specification: the others are tested against it. Kernels do not throw, allocate or
// know threads. A token's result has the same bits in any batch: each set adds in an order that depends on
// the shape alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "backend/cpu/isa.h"
#include "backend/cpu/matrix_kernels.h"
#include "backend/cpu/packed_matrix.h"
#include "formats/code_moves.h"

namespace beryl::backend {

struct Kernels {
  std::string_view name;
  MultiplyFunction multiply;
  const formats::CodeMoves* moves;  // for loading
};

const Kernels& kernels_of(Isa isa);

// out[cols] = row `row` (0 ... 15) of the panel: the published values, in the packed order of inputs.
void decode_packed_row(const PackedLayout& layout, const std::byte* panel, int64_t row, float* out);

}  // namespace beryl::backend
