// Packed weights: what the CPU kernels read.
//
// Rows (outputs) are taken 16 at a time as panels. Within a panel the inputs run along memory (K-major),
// group after group of the inputs that share a scale:
//
//   panel = group 0, group 1, ..., [padding to 64 bytes]
//   group = code lines, [plane lines], [16 scales], [16 zero points], [16 minimums]
//
// and where scales have a second level, its 16 factors and 16 minimums follow the last group that they cover;
// factors of whole rows thus close the panel. Without scales the panel is one group.
//
// A code line is 64 bytes: a word of four bytes for each of the 16 rows, holding the same few inputs of each:
//
//   bits of a code   inputs a word   where they are in the word
//   32               1
//   16               2               low half, high half
//   8                4               inputs 0 2 1 3 from the low byte up
//   4, 5, 6          8               inputs 0 2 4 6 | 1 3 5 7 from the low four bits up
//
// so that each half of a word holds every second input: pairs of neighbours end up in pairs of 16-bit lanes
// whatever the width. Of 5- and 6-bit codes the lines hold the low four bits; the high bits are in plane
// lines, whose words hold 32 inputs of one bit or 16 of two bits in the same alternation.
//
// Rows beyond the last and inputs beyond a group are zero codes. Codes are the published ones, moved and
// never changed, and so are scales, zero points and minimums in the type of their kind; only factors of whole
// rows are widened to float32, and a divisor becomes its reciprocal. The gate and up halves of a gated MLP
// are packed as one matrix whose panels alternate (gate panel 0, up panel 0, gate panel 1, ...), so that
// whoever has computed a pair of panels can finish the activation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/matrix_product.h"
#include "formats/scheme.h"

namespace beryl::backend {

inline constexpr int64_t kPanelRows = 16;
inline constexpr int64_t kLineBytes = 64;

// Sizes and places of a matrix of `rows` x `cols` of a scheme. All matrices of one scheme share a layout.
struct PackedLayout {
  PackedLayout(const formats::Scheme& number_scheme, int64_t row_count, int64_t col_count);

  formats::Scheme scheme;
  int64_t rows;
  int64_t cols;
  int64_t code_bits;
  int64_t word_inputs;       // of one word of a code line
  int64_t plane_inputs = 0;  // of one word of a plane line; 0: there are none
  int64_t group_inputs;      // of a full group; `cols` without groups
  int64_t groups;
  int64_t outer_groups = 0;  // 0: there are none
  int64_t groups_per_outer;  // `groups` when there are none
  int64_t group_bytes;       // of a full group
  int64_t outer_bytes;       // of the second-level numbers of one outer group
  int64_t panels;
  int64_t panel_bytes;

  uint64_t bytes() const { return static_cast<uint64_t>(panels) * static_cast<uint64_t>(panel_bytes); }

  // Of group `group`: where it begins in its panel, how many inputs it has.
  int64_t group_offset(int64_t group) const {
    if (groups_per_outer == groups) return group * group_bytes;  // divisions are slow
    return group * group_bytes + group / groups_per_outer * outer_bytes;
  }
  int64_t inputs_of(int64_t group) const {
    return group + 1 < groups ? group_inputs : cols - group * group_inputs;
  }
  int64_t code_lines(int64_t inputs) const { return (inputs + word_inputs - 1) / word_inputs; }
  int64_t plane_lines(int64_t inputs) const {
    return plane_inputs == 0 ? 0 : (inputs + plane_inputs - 1) / plane_inputs;
  }
  // Bytes of the lines of a group, which its scales follow.
  int64_t line_bytes(int64_t inputs) const { return (code_lines(inputs) + plane_lines(inputs)) * kLineBytes; }
  int64_t scales_bytes() const { return kPanelRows * formats::scale_bytes(scheme.scale); }
  int64_t zeros_bytes() const { return scheme.has_zeros ? kPanelRows : 0; }
  int64_t minimums_bytes() const { return kPanelRows * formats::scale_bytes(scheme.minimum); }
  // Where the second-level numbers of outer group `outer` are in their panel.
  int64_t outer_offset(int64_t outer) const;

  bool operator==(const PackedLayout&) const = default;

 private:
  int64_t groups_end() const;
};

// The layout as kernels see it; it points to `layout`.
PanelShape panel_shape(const PackedLayout& layout);

class PackedMatrix final : public Matrix {
 public:
  // `data` holds layout.bytes() and outlives the matrix.
  PackedMatrix(const PackedLayout& layout, std::byte* data)
      : Matrix(layout.rows, layout.cols), layout_(layout), shape_(panel_shape(layout_)), data_(data) {}
  // One that stays in its files, from which panel_reader.h packs the panels that are asked for.
  PackedMatrix(const PackedLayout& layout, const MatrixSource& source)
      : Matrix(layout.rows, layout.cols), layout_(layout), shape_(panel_shape(layout_)), source_(source) {}
  PackedMatrix(const PackedMatrix&) = delete;
  PackedMatrix& operator=(const PackedMatrix&) = delete;

  const PackedLayout& layout() const { return layout_; }
  const PanelShape& shape() const { return shape_; }
  // Of a matrix in memory.
  const std::byte* panel(int64_t index) const { return data_ + index * layout_.panel_bytes; }
  std::byte* mutable_data() const { return data_; }
  // Of a matrix in its files; else null.
  const MatrixSource* source() const { return source_ ? &*source_ : nullptr; }

  // Where groups are not runs of successive inputs, they are made so by packing the inputs in another order:
  // the i-th packed input is the published one order[i]. Empty: as published. Of a gated pair the halves may
  // differ; half 0 is the gate, and of another matrix all of it.
  std::span<const int32_t> input_order(int half = 0) const { return half == 0 ? order_ : up_order_; }
  void set_input_order(int half, std::vector<int32_t> order) {
    (half == 0 ? order_ : up_order_) = std::move(order);
  }

 private:
  PackedLayout layout_;
  PanelShape shape_;
  std::byte* data_ = nullptr;
  std::optional<MatrixSource> source_;
  std::vector<int32_t> order_;
  std::vector<int32_t> up_order_;
};

}  // namespace beryl::backend
