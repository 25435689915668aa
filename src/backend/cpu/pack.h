// Moves published codes and their scales into panels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/packed_matrix.h"
#include "formats/row_reader.h"

namespace beryl::backend {

// Rows to pack: `count` (1 ... 16) of `parts`, from `first` on.
struct PanelRows {
  const formats::RowParts* parts = nullptr;
  int64_t code_row_bytes = 0;  // or, in columns, from one column to the next
  int64_t first = 0;
  int64_t count = 0;
  bool outer_divides = false;
  formats::CodeShape shape = formats::CodeShape::kBytes;
  const formats::CodeMoves* moves = &formats::portable_moves();
};

// Packs one panel, all of it. Returns false when a code is not a finite number.
bool pack_panel(const PackedLayout& layout, const PanelRows& rows, std::byte* panel);

}  // namespace beryl::backend
