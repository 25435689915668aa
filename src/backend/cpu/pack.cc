#include "backend/cpu/pack.h"

#include "backend/cpu/pack_lines.h"
#include "backend/cpu/pack_numbers.h"
#include "base/check.h"

namespace beryl::backend {

bool pack_panel(const PackedLayout& layout, const PanelRows& rows, std::byte* panel) {
  BERYL_CHECK(rows.count >= 1 && rows.count <= kPanelRows);
  const bool are_columns = rows.shape == formats::CodeShape::kColumns;
  const CodeRows codes{
      .rows = rows.parts->codes.data() + rows.first * (are_columns ? 4 : rows.code_row_bytes),
      .row_bytes = rows.code_row_bytes,
      .row_count = rows.count};
  const bool are_finite = pack_codes(layout, codes, rows.shape, *rows.moves, panel);
  pack_numbers(layout, rows, panel);
  return are_finite;
}

}  // namespace beryl::backend
