// The order of a matrix's inputs where its groups are not runs of successive ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/cpu/packed_matrix.h"
#include "formats/row_reader.h"

namespace beryl::backend {

// The order of inputs that makes runs of the groups of `group_index`, stable within a group.
// Empty for an empty index.
std::vector<int32_t> order_by_group(std::span<const int32_t> group_index);

// Puts the codes, of 4 or 8 bits, of all rows of `parts` into that order. `scratch` is for reuse.
void reorder_inputs(const PackedLayout& layout, int64_t code_row_bytes, std::span<const int32_t> order,
                    formats::RowParts& parts, std::vector<uint32_t>& scratch);

}  // namespace beryl::backend
