// What matrix kernels are given: plain numbers and pointers, so that files compiled for one instruction set
// need no other header of the project.
#pragma once

#include <stdint.h>

#include "formats/number_kinds.h"

namespace beryl::backend {

// Inputs that are summed at a time: each group is cut into segments of at most this many.
constexpr int64_t kSegmentInputs = 64;

// A panel's layout; packed_matrix.h tells what is where.
struct PanelShape {
  formats::CodeKind codes;
  formats::ScaleKind scale;
  formats::ScaleKind minimum;
  formats::ScaleKind outer;
  bool has_zeros;
  bool has_outer_minimum;
  int32_t plane_bits;  // of a code above the fourth; 0 without planes
  int64_t cols;
  int64_t groups;
  int64_t group_inputs;      // of a full group
  int64_t group_bytes;       // of a full group
  int64_t groups_per_outer;  // `groups` without a second level
  int64_t outer_bytes;       // 0 without a second level
  int64_t line_inputs;       // inputs that a code line holds
  int64_t plane_inputs;      // inputs that a plane line holds
  int64_t segments_per_group;
  int64_t segment_bytes;     // code lines of a full segment
  int64_t lines_bytes;       // code and plane lines of a full group
  bool needs_sums;           // has zero points or minimums
  const float* code_values;  // [2^bits]; null for codes wider than a byte
  const void* layout;        // the PackedLayout that this was made from
};

// Several successive panels times some rows of activations.
struct MatrixProduct {
  const PanelShape* shape;
  const unsigned char* panels;
  int64_t panel_count;
  int64_t panel_bytes;  // from one panel to the next
  const void* x;        // rows of float, or of bf16 bits when x_is_bf16
  bool x_is_bf16;
  int64_t x_stride;       // numbers from one row to the next
  const int32_t* x_rows;  // [tokens] the row of each token; null: 0, 1, 2, ...
  const float* x_sums;    // [rows, segments] sums of each segment's inputs; null unless the shape needs them
  int64_t sums_stride;
  int64_t tokens;
  float* y;  // [tokens, panel_count * 16], rows y_stride apart
  int64_t y_stride;
  float* scratch;  // kMatrixScratchFloats, aligned to 64 bytes
};

// Working memory of a kernel: codes, scales, zero points and minimums of four panels over 256 inputs,
// and three sums of 64 outputs for each of the tokens that are worked on at a time.
constexpr int64_t kKernelTokens = 256;
constexpr int64_t kTileScratchFloats = 4 * 16 * (128 + 3 * 16);
constexpr int64_t kMatrixScratchFloats = kTileScratchFloats + kKernelTokens * 3 * 64;

// Segments are counted over the whole row.
static inline int64_t segment_count(const PanelShape* shape) {
  return shape->groups * shape->segments_per_group;
}

}  // namespace beryl::backend
