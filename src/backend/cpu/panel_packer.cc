#include "backend/cpu/panel_packer.h"

#include <fmt/format.h>

#include <algorithm>

#include "backend/cpu/made_up.h"
#include "backend/cpu/pack.h"
#include "base/error.h"

namespace beryl::backend {

// Rows, taken apart.
struct PanelPacker::TakenApart {
  int64_t code_row_bytes;
  bool outer_divides;
  formats::CodeShape shape;
};

void PanelPacker::pack(const PanelSource& source, int64_t begin, int64_t end, const PanelPlace& to) {
  with_context(*source.name, [&] { pack_rows(source, begin, end, to); });
}

formats::RowReader& PanelPacker::reader_of(const formats::QuantMatrix& wanted) {
  if (matrix_ == &wanted) return *reader_;
  matrix_ = nullptr;
  if (reader_) {
    reader_->turn_to(wanted);
  } else {
    reader_.emplace(wanted, *moves_);
  }
  matrix_ = &wanted;
  return *reader_;
}

PanelPacker::TakenApart PanelPacker::take_apart(const PanelSource& source, int64_t first_row, int64_t rows) {
  if (source.matrix->is_made_up()) {
    make_up_rows(*source.layout, rows, source.file_offset(first_row), parts_);
    return {.code_row_bytes = made_up_row_bytes(*source.layout),
            .outer_divides = false,
            .shape = formats::CodeShape::kBytes};
  }
  formats::RowReader& reader = reader_of(*source.matrix);
  const formats::CodeShape shape = reader.packing_shape(first_row, rows);
  reader.read(first_row, rows, parts_, shape);
  const bool are_columns = shape == formats::CodeShape::kColumns;
  return {.code_row_bytes = are_columns ? formats::column_bytes(rows) : reader.code_row_bytes(shape),
          .outer_divides = reader.outer_divides(),
          .shape = shape};
}

void PanelPacker::pack_rows(const PanelSource& source, int64_t begin, int64_t end, const PanelPlace& to) {
  const int64_t first_row = begin * kPanelRows;
  const int64_t end_row = std::min(end * kPanelRows, source.matrix->rows);
  const TakenApart taken = take_apart(source, first_row, end_row - first_row);
  if (!source.input_order.empty()) {
    reorder_inputs(*source.layout, taken.shape, source.input_order, *moves_, parts_, scratch_);
  }
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t row = panel * kPanelRows;
    const int64_t rows = std::min(kPanelRows, source.matrix->rows - row);
    const PanelRows from{.parts = &parts_,
                         .code_row_bytes = taken.code_row_bytes,
                         .first = row - first_row,
                         .count = rows,
                         .outer_divides = taken.outer_divides,
                         .shape = taken.shape,
                         .moves = moves_};
    if (pack_panel(*source.layout, from, to.first + (panel - begin) * to.stride)) continue;
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("weight holds an infinity or NaN in rows {} to {}", row, row + rows - 1),
                "the checkpoint is damaged; download it again, or report it to its publisher");
  }
}

}  // namespace beryl::backend
