// What all matrix kernels share: where a segment's codes and numbers are, and how segment sums become
// outputs. All here is in an unnamed namespace: each instruction set has a copy of its own.
//
// The order of a sum, the same in every kernel of one instruction set whatever the batch:
//
//   segment:  sum of code * x; minus zero point * sum of x
//   level 1:  a = a + scale * segment, b = b + minimum * (sum of x), in ascending order
//   level 2:  at the end of each outer group, total = total + outer scale * a + outer minimum * b
#pragma once

#include "backend/cpu/matrix_product.h"

// The vector vocabulary of the instruction set that the including file is compiled for.
#if defined(__AVX512F__)
#include "backend/cpu/lanes_avx512.h"
#else
#include "backend/cpu/lanes_avx2.h"
#endif

namespace beryl::backend {
namespace {

using formats::ScaleKind;

// Part of a group whose inputs are summed at a time.
struct Segment {
  const unsigned char* lines;
  const unsigned char* planes;  // of the group
  int64_t first;                // input of the group
  int64_t input;                // input of the row
  int64_t count;                // of inputs; not positive beyond a short last group
};

inline int64_t code_line_bytes(const PanelShape& shape, int64_t inputs) {
  return (inputs + shape.line_inputs - 1) / shape.line_inputs * 64;
}

inline int64_t line_bytes(const PanelShape& shape, int64_t inputs) {
  int64_t bytes = code_line_bytes(shape, inputs);
  if (shape.plane_inputs > 0) bytes += (inputs + shape.plane_inputs - 1) / shape.plane_inputs * 64;
  return bytes;
}

// Walks over the segments of a panel in order. Divisions are slow, so all places move by addition.
struct Walk {
  const PanelShape* shape = nullptr;
  const unsigned char* begin = nullptr;  // of the group
  int64_t group = 0;
  int64_t group_of_outer = 0;
  int64_t inputs = 0;      // of the group
  int64_t lines_size = 0;  // bytes of the group's lines
  int64_t index = 0;       // of the segment in its group

  Walk() = default;
  Walk(const PanelShape& panel_shape, const unsigned char* panel) : shape(&panel_shape), begin(panel) {
    enter();
  }

  bool is_done() const { return group >= shape->groups; }
  bool is_last_of_group() const { return index + 1 == shape->segments_per_group; }
  // After the last segment of a group: whether second-level numbers follow it.
  bool ends_outer() const {
    return group_of_outer + 1 == shape->groups_per_outer || group + 1 == shape->groups;
  }

  Segment segment() const {
    Segment segment;
    segment.first = index * kSegmentInputs;
    segment.input = group * shape->group_inputs + segment.first;
    const int64_t left = inputs - segment.first;
    segment.count = left < kSegmentInputs ? left : kSegmentInputs;
    segment.lines = begin + index * shape->segment_bytes;
    segment.planes = shape->plane_bits > 0 ? begin + code_line_bytes(*shape, inputs) : nullptr;
    return segment;
  }
  // The numbers behind the lines of the group, and behind those the second level's.
  const unsigned char* numbers() const { return begin + lines_size; }
  const unsigned char* outer_numbers() const {
    return begin + lines_size + shape->group_bytes - shape->lines_bytes;
  }

  void next() {
    if (++index < shape->segments_per_group) return;
    index = 0;
    begin += shape->group_bytes;
    if (++group_of_outer == shape->groups_per_outer) {
      begin += shape->outer_bytes;
      group_of_outer = 0;
    }
    ++group;
    enter();
  }

 private:
  void enter() {
    const int64_t left = shape->cols - group * shape->group_inputs;
    if (left >= shape->group_inputs) {
      inputs = shape->group_inputs;
      lines_size = shape->lines_bytes;
    } else {
      inputs = left;
      lines_size = line_bytes(*shape, left > 0 ? left : 0);
    }
  }
};

inline int64_t number_bytes(ScaleKind kind) {
  switch (kind) {
    case ScaleKind::kNone:
      return 0;
    case ScaleKind::kF32:
      return 4;
    case ScaleKind::kBf16:
    case ScaleKind::kF16:
      return 2;
    default:
      return 1;
  }
}

// Sixteen numbers of a kind. E4M3 scales are finite and positive.
inline Lanes load_numbers(ScaleKind kind, const unsigned char* from) {
  switch (kind) {
    case ScaleKind::kF32:
      return as_floats(load_words(from));
    case ScaleKind::kBf16:
      return as_floats(left<16>(load_halves(from)));
    case ScaleKind::kF16:
      return halves_to_floats(load_halves(from));
    case ScaleKind::kE4m3:
      return mul(halves_to_floats(left<7>(load_bytes(from))), all(256));
    case ScaleKind::kE8m0:
      return as_floats(at_least(left<23>(load_bytes(from)), 0x00400000U));  // 0 is the subnormal 2^-127
    case ScaleKind::kU8:
      return to_floats(load_bytes(from));
    case ScaleKind::kI8:
      return to_floats(right_signed<24>(left<24>(load_bytes(from))));
    case ScaleKind::kNone:
      break;
  }
  return zeros();
}

// The numbers behind the lines of a group; only those that the shape has are set.
struct GroupNumbers {
  Lanes scale;
  Lanes zero;
  Lanes minimum;
};

inline GroupNumbers load_group_numbers(const PanelShape& shape, const unsigned char* from) {
  GroupNumbers numbers;
  numbers.scale = load_numbers(shape.scale, from);
  from += 16 * number_bytes(shape.scale);
  numbers.zero = zeros();
  if (shape.has_zeros) {
    numbers.zero = load_numbers(ScaleKind::kU8, from);
    from += 16;
  }
  numbers.minimum = load_numbers(shape.minimum, from);
  return numbers;
}

// The running sums of some tokens.
template <int kTokens>
struct Steps {
  Lanes total[kTokens];
  Lanes products[kTokens];
  Lanes minimums[kTokens];

  Steps() {
    for (int t = 0; t < kTokens; ++t) total[t] = products[t] = minimums[t] = zeros();
  }

  void add_segment(const PanelShape& shape, const GroupNumbers& numbers, int t, Lanes sum, float x_sum) {
    if (shape.has_zeros) sum = fnma(numbers.zero, all(x_sum), sum);
    products[t] =
        shape.scale == ScaleKind::kNone ? add(products[t], sum) : fma(numbers.scale, sum, products[t]);
    if (shape.minimum != ScaleKind::kNone) minimums[t] = fma(numbers.minimum, all(x_sum), minimums[t]);
  }

  // `from` are the second-level numbers, if there are any.
  void end_outer(const PanelShape& shape, const unsigned char* from) {
    const bool has_outer = shape.outer != ScaleKind::kNone;
    const Lanes scale = load_numbers(shape.outer, from);
    Lanes minimum = zeros();
    if (shape.has_outer_minimum) minimum = load_numbers(shape.outer, from + 16 * number_bytes(shape.outer));
    for (int t = 0; t < kTokens; ++t) {
      total[t] = has_outer ? fma(scale, products[t], total[t]) : add(total[t], products[t]);
      if (shape.minimum != ScaleKind::kNone) {
        total[t] = shape.has_outer_minimum ? fma(minimum, minimums[t], total[t]) : add(total[t], minimums[t]);
      }
      products[t] = minimums[t] = zeros();
    }
  }
};

inline int64_t x_row(const MatrixProduct& p, int64_t token) {
  return p.x_rows != nullptr ? p.x_rows[token] : token;
}

inline float segment_sum(const MatrixProduct& p, int64_t token, int64_t segment) {
  return p.x_sums != nullptr ? p.x_sums[x_row(p, token) * p.sums_stride + segment] : 0;
}

// The inputs of a segment as floats, zeros beyond its last.
inline void read_inputs(const MatrixProduct& p, int64_t token, int64_t first, int64_t count, float* out) {
  const int64_t at = x_row(p, token) * p.x_stride + first;
  int64_t k = 0;
  if (p.x_is_bf16) {
    const uint16_t* x = static_cast<const uint16_t*>(p.x) + at;
    for (; k + 16 <= count; k += 16) widen16(x + k, out + k);
    for (; k < count; ++k) {
      const uint32_t bits = static_cast<uint32_t>(x[k]) << 16;
      __builtin_memcpy(out + k, &bits, sizeof(bits));
    }
  } else {
    const float* x = static_cast<const float*>(p.x) + at;
    for (; k < count; ++k) out[k] = x[k];
  }
  for (; k < kSegmentInputs; ++k) out[k] = 0;
}

}  // namespace
}  // namespace beryl::backend
