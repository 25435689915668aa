// Moves published codes and their scales into panels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/cpu/packed_matrix.h"
#include "formats/row_reader.h"

namespace beryl::backend {

// Rows to pack: `count` (1 ... 16) of `parts`, from `first` on.
struct PanelRows {
  const formats::RowParts* parts = nullptr;
  int64_t code_row_bytes = 0;
  int64_t first = 0;
  int64_t count = 0;
  bool outer_divides = false;
};

// Packs one panel, all of it. Returns false when a code is not a finite number.
bool pack_panel(const PackedLayout& layout, const PanelRows& rows, std::byte* panel);

// The order of inputs that makes runs of the groups of `group_index`, stable within a group.
// Empty for an empty index.
std::vector<int32_t> order_by_group(std::span<const int32_t> group_index);

// Puts the codes of all rows of `parts` into that order. `scratch` is for reuse.
void reorder_inputs(const PackedLayout& layout, int64_t code_row_bytes, std::span<const int32_t> order,
                    formats::RowParts& parts, std::vector<std::byte>& scratch);

}  // namespace beryl::backend
