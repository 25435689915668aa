#include "backend/cpu/packed_matrix.h"

#include <algorithm>

#include "base/checked_math.h"

namespace beryl::backend {
PackedLayout::PackedLayout(const formats::Scheme& number_scheme, int64_t row_count, int64_t col_count)
    : scheme(number_scheme),
      rows(row_count),
      cols(col_count),
      code_bits(formats::code_bits(number_scheme.codes)) {
  const int64_t line_bits = code_bits < 8 ? 4 : code_bits;
  word_inputs = 32 / line_bits;
  if (code_bits == 5 || code_bits == 6) plane_inputs = 32 / (code_bits - 4);
  group_inputs = scheme.group > 0 ? scheme.group : cols;
  groups = cols == 0 ? 0 : ceil_div(cols, group_inputs);
  if (scheme.outer_group > 0) outer_groups = ceil_div(cols, scheme.outer_group);
  const bool has_inner_level = scheme.group > 0 && scheme.outer_group > 0 && scheme.outer_group < cols;
  groups_per_outer = has_inner_level ? scheme.outer_group / scheme.group : std::max<int64_t>(1, groups);
  group_bytes = line_bytes(group_inputs) + scales_bytes() + zeros_bytes() + minimums_bytes();
  outer_bytes = kPanelRows * formats::scale_bytes(scheme.outer) * (scheme.has_outer_minimum ? 2 : 1);
  panels = ceil_div(rows, kPanelRows);
  const int64_t end = outer_groups > 0 ? outer_offset(outer_groups - 1) + outer_bytes : groups_end();
  panel_bytes = ceil_div(end, kLineBytes) * kLineBytes;
}

int64_t PackedLayout::outer_offset(int64_t outer) const {
  if (outer + 1 == outer_groups) return groups_end();
  return (outer + 1) * (groups_per_outer * group_bytes + outer_bytes) - outer_bytes;
}

int64_t PackedLayout::groups_end() const {
  if (groups == 0) return 0;
  const int64_t missing = line_bytes(group_inputs) - line_bytes(inputs_of(groups - 1));
  return group_offset(groups - 1) + group_bytes - missing;
}

PanelShape panel_shape(const PackedLayout& layout) {
  const formats::Scheme& scheme = layout.scheme;
  const std::span<const float> values = formats::code_values(scheme.codes);
  return {.codes = scheme.codes,
          .scale = scheme.scale,
          .minimum = scheme.minimum,
          .outer = scheme.outer,
          .has_zeros = scheme.has_zeros,
          .has_outer_minimum = scheme.has_outer_minimum,
          .plane_bits = layout.plane_inputs > 0 ? static_cast<int32_t>(layout.code_bits - 4) : 0,
          .cols = layout.cols,
          .groups = layout.groups,
          .group_inputs = layout.group_inputs,
          .group_bytes = layout.group_bytes,
          .groups_per_outer = layout.groups_per_outer,
          .outer_bytes = layout.outer_bytes,
          .line_inputs = layout.word_inputs,
          .plane_inputs = layout.plane_inputs,
          .segments_per_group = ceil_div(layout.group_inputs, kSegmentInputs),
          .segment_bytes = kSegmentInputs / layout.word_inputs * kLineBytes,
          .lines_bytes = layout.line_bytes(layout.group_inputs),
          .needs_sums = scheme.has_zeros || scheme.minimum != formats::ScaleKind::kNone,
          .code_values = values.empty() ? nullptr : values.data(),
          .layout = &layout};
}

}  // namespace beryl::backend
