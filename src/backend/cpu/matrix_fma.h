// Matrix kernels in float32 multiply-adds, over the vector vocabulary of matrix_steps.h. All here is in an
// unnamed namespace: each instruction set has a copy of its own. They take every code and scale, float32 and
// bf16 inputs.
//
// Order of a sum: within a segment input k goes to chain k mod kChains, chains are added pairwise; then as
// matrix_steps.h says.
#pragma once

#include "backend/cpu/matrix_product.h"
#include "backend/cpu/matrix_steps.h"

namespace beryl::backend {
namespace {

using formats::CodeKind;

// Decoders of one code line: kInputs values of each row, in the order of the inputs.
struct CodesBf16 {
  static constexpr int kInputs = 2;
  explicit CodesBf16(const PanelShape&) {}
  void decode(const unsigned char* line, Lanes* out) const {
    const Words w = load_words(line);
    out[0] = as_floats(left<16>(w));
    out[1] = as_floats(both(w, 0xffff0000U));
  }
};

struct CodesF16 {
  static constexpr int kInputs = 2;
  explicit CodesF16(const PanelShape&) {}
  void decode(const unsigned char* line, Lanes* out) const {
    const Words w = load_words(line);
    out[0] = halves_to_floats(w);
    out[1] = halves_to_floats(right<16>(w));
  }
};

struct CodesF32 {
  static constexpr int kInputs = 1;
  explicit CodesF32(const PanelShape&) {}
  void decode(const unsigned char* line, Lanes* out) const { out[0] = as_floats(load_words(line)); }
};

// The bits as those of a float32 that is 2^120 times smaller: exact, subnormals too.
struct CodesE4m3 {
  static constexpr int kInputs = 4;
  explicit CodesE4m3(const PanelShape&) : factor(all(0x1p120F)) {}
  Lanes value(Words w) const {  // of the high byte
    return mul(as_floats(both(right_signed<4>(w), 0x87f00000U)), factor);
  }
  void decode(const unsigned char* line, Lanes* out) const {
    const Words w = load_words(line);
    out[0] = value(left<24>(w));
    out[1] = value(left<8>(w));
    out[2] = value(left<16>(w));
    out[3] = value(w);
  }
  Lanes factor;
};

struct CodesI8 {
  static constexpr int kInputs = 4;
  explicit CodesI8(const PanelShape&) {}
  void decode(const unsigned char* line, Lanes* out) const {
    const Words w = load_words(line);
    out[0] = to_floats(right_signed<24>(left<24>(w)));
    out[1] = to_floats(right_signed<24>(left<8>(w)));
    out[2] = to_floats(right_signed<24>(left<16>(w)));
    out[3] = to_floats(right_signed<24>(w));
  }
};

struct CodesU8 {
  static constexpr int kInputs = 4;
  explicit CodesU8(const PanelShape&) {}
  void decode(const unsigned char* line, Lanes* out) const {
    const Words w = load_words(line);
    out[0] = to_floats(both(w, 0xffU));
    out[1] = to_floats(both(right<16>(w), 0xffU));
    out[2] = to_floats(both(right<8>(w), 0xffU));
    out[3] = to_floats(right<24>(w));
  }
};

struct CodesNibble {
  static constexpr int kInputs = 8;
  explicit CodesNibble(const PanelShape& shape) : table(load_table(shape.code_values)) {}
  void decode(const unsigned char* line, Lanes* out) const {
    const Words w = load_words(line);
    out[0] = look_up(table, w);
    out[1] = look_up(table, right<16>(w));
    out[2] = look_up(table, right<4>(w));
    out[3] = look_up(table, right<20>(w));
    out[4] = look_up(table, right<8>(w));
    out[5] = look_up(table, right<24>(w));
    out[6] = look_up(table, right<12>(w));
    out[7] = look_up(table, right<28>(w));
  }
  Table16 table;
};

// Integers of 5 or 6 bits: the code line's four bits, the plane line's above them, and an offset.
struct CodesPlane {
  static constexpr int kInputs = 8;
  explicit CodesPlane(const PanelShape& shape)
      : offset(all(shape.code_values[0])), bits(shape.plane_bits), mask(((1U << bits) - 1) << 4) {}
  // `plane` has been shifted so that the line's first even input is in its low bits.
  template <int kShift>
  Lanes value(Words w, Words plane) const {
    constexpr int kPair = kShift % 16 / 4;
    constexpr int kHalf = kShift / 16 * 16;
    Words high = plane;
    if (bits == 1) high = left<4>(right<kHalf + kPair>(plane));
    if (bits == 2) high = left<4>(right<kHalf + 2 * kPair>(plane));
    return add(to_floats(either(both(right<kShift>(w), 15U), both(high, mask))), offset);
  }
  void decode(const unsigned char* line, Words plane, Lanes* out) const {
    const Words w = load_words(line);
    out[0] = value<0>(w, plane);
    out[1] = value<16>(w, plane);
    out[2] = value<4>(w, plane);
    out[3] = value<20>(w, plane);
    out[4] = value<8>(w, plane);
    out[5] = value<24>(w, plane);
    out[6] = value<12>(w, plane);
    out[7] = value<28>(w, plane);
  }
  Lanes offset;
  int bits;
  uint32_t mask;
};

// A plane word from line `line` of its group on: each half moves down by the lines before it.
inline Words plane_from(const PanelShape& shape, const unsigned char* planes, int64_t line) {
  const int64_t lines_per_plane = shape.plane_inputs / 8;
  Words plane = load_words(planes + line / lines_per_plane * 64);
  // Four pairs a line, so a half moves down by 4 or 8 bits a line; what the halves lose is not asked for.
  const int64_t place = line % lines_per_plane;
  if (shape.plane_bits == 1) {
    if (place & 1) plane = right<4>(plane);
    if (place & 2) plane = right<8>(plane);
  } else if (place & 1) {
    plane = right<8>(plane);
  }
  return plane;
}

template <typename Codes>
inline void decode_line(const Codes& codes, const PanelShape&, const Segment& segment, int64_t line,
                        Lanes* out) {
  codes.decode(segment.lines + line * 64, out);
}

inline void decode_line(const CodesPlane& codes, const PanelShape& shape, const Segment& segment,
                        int64_t line, Lanes* out) {
  codes.decode(segment.lines + line * 64, plane_from(shape, segment.planes, segment.first / 8 + line), out);
}

// One panel times kTokens rows.
template <typename Codes, int kTokens>
void multiply_panel(const MatrixProduct& p, const Codes& codes, const unsigned char* panel,
                    int64_t first_token, float* y) {
  const PanelShape& shape = *p.shape;
  Steps<kTokens> steps;
  GroupNumbers numbers = {zeros(), zeros(), zeros()};
  int64_t segment_index = 0;
  for (Walk walk(shape, panel); !walk.is_done(); walk.next(), ++segment_index) {
    if (walk.index == 0) numbers = load_group_numbers(shape, walk.numbers());
    const Segment segment = walk.segment();
    if (segment.count > 0) {
      float x[kTokens][kSegmentInputs];
      for (int t = 0; t < kTokens; ++t) read_inputs(p, first_token + t, segment.input, segment.count, x[t]);
      Lanes sums[kTokens][kChains];
      for (int t = 0; t < kTokens; ++t) {
        for (int c = 0; c < kChains; ++c) sums[t][c] = zeros();
      }
      Lanes values[Codes::kInputs < kChains ? kChains : Codes::kInputs];
      constexpr int kStep = Codes::kInputs < kChains ? kChains : Codes::kInputs;
      constexpr int kLines = kStep / Codes::kInputs;
      const int64_t lines = (segment.count + Codes::kInputs - 1) / Codes::kInputs;
      for (int64_t line = 0; line < lines; line += kLines) {
        for (int i = 0; i < kLines; ++i) {
          if (line + i < lines) {
            decode_line(codes, shape, segment, line + i, values + i * Codes::kInputs);
          } else {
            for (int k = 0; k < Codes::kInputs; ++k) values[i * Codes::kInputs + k] = zeros();
          }
        }
        for (int k = 0; k < kStep; ++k) {
          for (int t = 0; t < kTokens; ++t) {
            Lanes& sum = sums[t][k % kChains];
            sum = fma(values[k], all(x[t][line * Codes::kInputs + k]), sum);
          }
        }
      }
      for (int t = 0; t < kTokens; ++t) {
        Lanes sum = add(sums[t][0], sums[t][1]);
        if constexpr (kChains == 4) sum = add(sum, add(sums[t][2], sums[t][3]));
        steps.add_segment(shape, numbers, t, sum, segment_sum(p, first_token + t, segment_index));
      }
    }
    if (walk.is_last_of_group() && walk.ends_outer()) steps.end_outer(shape, walk.outer_numbers());
  }
  for (int t = 0; t < kTokens; ++t) store(y + t * p.y_stride, steps.total[t]);
}

template <typename Codes>
void multiply_all(const MatrixProduct& p) {
  const Codes codes(*p.shape);
  for (int64_t panel = 0; panel < p.panel_count; ++panel) {
    const unsigned char* from = p.panels + panel * p.panel_bytes;
    float* y = p.y + panel * 16;
    int64_t t = 0;
    for (; t + kTokensAtOnce <= p.tokens; t += kTokensAtOnce) {
      multiply_panel<Codes, kTokensAtOnce>(p, codes, from, t, y + t * p.y_stride);
    }
    for (; t < p.tokens; ++t) multiply_panel<Codes, 1>(p, codes, from, t, y + t * p.y_stride);
  }
}

void multiply_fma(const MatrixProduct& p) {
  switch (p.shape->codes) {
    case CodeKind::kBf16:
      return multiply_all<CodesBf16>(p);
    case CodeKind::kF16:
      return multiply_all<CodesF16>(p);
    case CodeKind::kF32:
      return multiply_all<CodesF32>(p);
    case CodeKind::kE4m3:
      return multiply_all<CodesE4m3>(p);
    case CodeKind::kI8:
      return multiply_all<CodesI8>(p);
    case CodeKind::kU8:
      return multiply_all<CodesU8>(p);
    case CodeKind::kE2m1:
    case CodeKind::kI4:
    case CodeKind::kU4:
    case CodeKind::kNf4:
      return multiply_all<CodesNibble>(p);
    case CodeKind::kI5:
    case CodeKind::kU5:
    case CodeKind::kI6:
    case CodeKind::kU6:
      return multiply_all<CodesPlane>(p);
  }
}

}  // namespace
}  // namespace beryl::backend
