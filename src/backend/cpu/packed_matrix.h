// Packed weights: what the CPU kernels read.
//
// Rows (outputs) are taken 16 at a time as panels. Within a panel the inputs run along memory (K-major) in
// words of four bytes, so that a 64-byte line holds the same few inputs of 16 rows:
//
//   panel = line 0, line 1, ..., line U-1, [16 float32 row scales]
//   line u, bytes 4r ... 4r+3 = the codes of row r for inputs u*W ... u*W + W-1      W = 4 / bytes per code
//
// Rows beyond the last and inputs beyond K are zero codes. The codes are the published ones, moved and never
// changed. The gate and up halves of a gated MLP are packed as one matrix whose panels alternate (gate panel
// 0, up panel 0, gate panel 1, ...), so that whoever has computed a pair of panels can finish the activation.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/backend.h"
#include "formats/quant_matrix.h"

namespace beryl::backend {

inline constexpr int64_t kPanelRows = 16;
inline constexpr int64_t kLineBytes = 64;

// Sizes of a matrix of `rows` x `cols` in a format. All matrices of one format share a layout.
struct PackedLayout {
  PackedLayout(formats::Format code_format, bool has_row_scales, int64_t row_count, int64_t col_count);

  formats::Format format;
  bool has_scales;
  int64_t rows;
  int64_t cols;
  int64_t code_bytes = 0;  // of one code
  int64_t panels;
  int64_t lines;        // of one panel
  int64_t panel_bytes;  // lines and scales

  int64_t codes_per_word() const { return 4 / code_bytes; }
  uint64_t bytes() const { return static_cast<uint64_t>(panels) * static_cast<uint64_t>(panel_bytes); }
};

PackedLayout packed_layout(const formats::QuantMatrix& matrix);

class PackedMatrix final : public Matrix {
 public:
  // `data` holds layout.bytes() and outlives the matrix.
  PackedMatrix(const PackedLayout& layout, std::byte* data)
      : Matrix(layout.rows, layout.cols), layout_(layout), data_(data) {}

  const PackedLayout& layout() const { return layout_; }
  const std::byte* panel(int64_t index) const { return data_ + index * layout_.panel_bytes; }
  std::byte* mutable_data() const { return data_; }

 private:
  PackedLayout layout_;
  std::byte* data_;
};

}  // namespace beryl::backend
