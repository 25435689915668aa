// Weights that nobody published, for measuring a network's speed without its files.
#pragma once

#include <cstdint>

#include "backend/cpu/packed_matrix.h"
#include "formats/row_reader.h"

namespace beryl::backend {

// Bytes of one row's codes in what make_up_rows() makes.
int64_t made_up_row_bytes(const PackedLayout& layout);

// Fills `out` with `rows` random rows of the layout's scheme: codes as trained weights have them and scales
// of about the size that trained weights have, cols^(-1/2) in the root mean square, so that activations stay
// finite. The same seed gives the same rows.
void make_up_rows(const PackedLayout& layout, int64_t rows, uint64_t seed, formats::RowParts& out);

}  // namespace beryl::backend
