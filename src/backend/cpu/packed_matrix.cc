#include "backend/cpu/packed_matrix.h"

#include "base/check.h"

namespace beryl::backend {

PackedLayout::PackedLayout(formats::Format code_format, bool has_row_scales, int64_t row_count,
                           int64_t col_count)
    : format(code_format), has_scales(has_row_scales), rows(row_count), cols(col_count) {
  switch (format) {
    case formats::Format::kBf16:
    case formats::Format::kF16:
      code_bytes = 2;
      break;
    case formats::Format::kF32:
      code_bytes = 4;
      break;
    case formats::Format::kFp8E4m3:
      code_bytes = 1;
      break;
  }
  panels = (rows + kPanelRows - 1) / kPanelRows;
  lines = (cols + codes_per_word() - 1) / codes_per_word();
  panel_bytes = lines * kLineBytes + (has_scales ? kLineBytes : 0);
}

PackedLayout packed_layout(const formats::QuantMatrix& matrix) {
  return PackedLayout(matrix.format, matrix.scale_grid != formats::ScaleGrid::kNone, matrix.rows,
                      matrix.cols);
}

}  // namespace beryl::backend
