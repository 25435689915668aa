// Moves published codes into panels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backend/cpu/packed_matrix.h"

namespace beryl::backend {

// Packs up to 16 rows, which lie one after another in `rows` as in the file, into one panel. Scales are
// written by pack_scales(). Returns false when a code is not a finite number.
bool pack_panel(const PackedLayout& layout, std::span<const std::byte> rows, std::byte* panel);

// Writes the scales of one panel, missing rows as zero. For layouts that have scales.
void pack_scales(const PackedLayout& layout, std::span<const float> row_scales, std::byte* panel);

}  // namespace beryl::backend
