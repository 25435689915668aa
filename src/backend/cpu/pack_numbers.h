// The scales, zero points and minimums of a panel.
#pragma once

#include <cstddef>

#include "backend/cpu/pack.h"
#include "backend/cpu/packed_matrix.h"

namespace beryl::backend {

// Writes the numbers behind each group of a panel, and those of the second level.
void pack_numbers(const PackedLayout& layout, const PanelRows& rows, std::byte* panel);

}  // namespace beryl::backend
