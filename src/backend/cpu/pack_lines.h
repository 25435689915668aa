// The codes of a panel.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cpu/packed_matrix.h"
#include "formats/code_moves.h"
#include "formats/row_reader.h"

namespace beryl::backend {

// Codes of all inputs of 1 ... 16 rows, as RowParts::codes.
struct CodeRows {
  const std::byte* rows;  // of the first row
  int64_t row_bytes;      // from one row to the next, or one column
  int64_t row_count;
};

// Writes all code and plane lines of a panel. Returns false when a code is not a finite number.
bool pack_codes(const PackedLayout& layout, const CodeRows& rows, formats::CodeShape shape,
                const formats::CodeMoves& moves, std::byte* panel);

}  // namespace beryl::backend
