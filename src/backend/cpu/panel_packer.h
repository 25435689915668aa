// Packs rows of published matrices into panels: reads them, takes them apart, moves them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "backend/cpu/pack_order.h"
#include "backend/cpu/packed_matrix.h"
#include "formats/code_moves.h"
#include "formats/row_reader.h"

namespace beryl::backend {

// A published matrix to pack: of a gated pair one half. All is borrowed.
struct PanelSource {
  const std::string* name = nullptr;  // the module, for errors
  const formats::QuantMatrix* matrix = nullptr;
  const PackedLayout* layout = nullptr;  // of this matrix alone
  std::span<const int32_t> input_order;  // empty: as published

  // Where the codes of a row begin in their file, if they lie by rows.
  uint64_t file_offset(int64_t row) const {
    const auto rows = static_cast<uint64_t>(std::max<int64_t>(1, matrix->rows));
    return matrix->codes.range.offset + matrix->codes.range.bytes / rows * static_cast<uint64_t>(row);
  }
};

// Where packed panels go.
struct PanelPlace {
  std::byte* first = nullptr;  // of the first one
  int64_t stride = 0;          // bytes from one to the next
};

// What one thread packs with, kept to spare allocations and to read once what belongs to a whole matrix.
class PanelPacker {
 public:
  explicit PanelPacker(const formats::CodeMoves& moves) : moves_(&moves) {}

  // Panels `begin` to `end` - 1. The matrix must stay where it is while the packer is used. Errors: as
  // formats::RowReader, and kInvalidInput for a code that is not a finite number; all name the module.
  void pack(const PanelSource& source, int64_t begin, int64_t end, const PanelPlace& to);

 private:
  struct TakenApart;

  void pack_rows(const PanelSource& source, int64_t begin, int64_t end, const PanelPlace& to);
  TakenApart take_apart(const PanelSource& source, int64_t first_row, int64_t rows);
  formats::RowReader& reader_of(const formats::QuantMatrix& wanted);

  const formats::CodeMoves* moves_;
  std::optional<formats::RowReader> reader_;
  const formats::QuantMatrix* matrix_ = nullptr;  // of the reader
  formats::RowParts parts_;
  ReorderScratch scratch_;
};

}  // namespace beryl::backend
