// The kernel table: the inner loops of one instruction set, chosen once when a backend is made.
//
// The portable set is the specification: the others are tested against it. Kernels do not throw, allocate or
// know threads. Each output is a sum over segments, the runs of at most kBlockInputs inputs into which each
// group is cut: within a segment in ascending order from zero, then the scaled segment sums in ascending
// order. So a token's result has the same bits in any batch.
#pragma once

#include <cstdint>
#include <string_view>

#include "backend/cpu/packed_matrix.h"

namespace beryl::backend {

inline constexpr int64_t kBlockInputs = 64;

// One panel times `tokens` rows of activations.
struct PanelProduct {
  const PackedLayout* layout;
  const std::byte* panel;
  const float* x;  // [tokens, cols], rows x_stride apart
  int64_t x_stride;
  int64_t tokens;
  float* y;  // [tokens, 16], rows y_stride apart
  int64_t y_stride;
};

struct Kernels {
  std::string_view name;
  // y = x * panel^T. Scales meet the sum of what they cover.
  void (*multiply_panel)(const PanelProduct& product);
  // out[cols] = row `row` (0 ... 15) of the panel, decoded: the published values, in the packed order of
  // inputs.
  void (*decode_row)(const PackedLayout& layout, const std::byte* panel, int64_t row, float* out);
  // Sum of a[i] * b[i]: 16 interleaved partial sums, added pairwise.
  float (*dot)(const float* a, const float* b, int64_t count);
};

const Kernels& portable_kernels();

}  // namespace beryl::backend
