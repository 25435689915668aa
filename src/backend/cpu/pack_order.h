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

// Memory for reuse.
struct ReorderScratch {
  std::vector<uint32_t> words;
  std::vector<std::byte> turned;
  std::vector<std::byte> codes;
};

// Puts the codes, of 4 or 8 bits, of all rows of `parts` into that order.
void reorder_inputs(const PackedLayout& layout, formats::CodeShape shape, std::span<const int32_t> order,
                    const formats::CodeMoves& moves, formats::RowParts& parts, ReorderScratch& scratch);

}  // namespace beryl::backend
