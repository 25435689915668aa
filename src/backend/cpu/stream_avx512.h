// Few tokens times panels, for matrix_avx512_bf16.cc alone: codes are read once, in the order of memory, and
// several segments are summed at a time so that their chains of additions overlap.
//
// Strips are the fast path: runs of segments that are all full and lie at the same places from the beginning
// of their strip, so that nothing is decided within them. Shapes that no strip fits are walked over.
#pragma once

#include "backend/cpu/matrix_steps.h"
#include "backend/cpu/pairs_avx512.h"

namespace beryl::backend {
namespace {

// How far ahead of the codes being read the next are asked for.
constexpr int64_t kPrefetchBytes = 8192;

// For up to so many rows codes are streamed, which is faster than expanding them to a buffer first.
constexpr int64_t kStreamTokens = 8;
// So many take part in one pass over a panel, unless its codes are bf16.
constexpr int64_t kTokensTogether = 4;

inline void prefetch(const unsigned char* from) {
  _mm_prefetch(reinterpret_cast<const char*>(from), _MM_HINT_T0);
}

// Sums of kSegments successive full segments for kTokens rows. Their chains run side by side, so lines are
// not read in the order of memory; but from `ahead` on they are asked for in that order, which memory serves
// best.
template <typename Codes, int kTokens, int kSegments>
// Always inlined, its parameters cost nothing. NOLINTNEXTLINE(readability-function-size)
[[gnu::always_inline]] inline void sum_segments(const PanelShape& shape, const Codes& codes,
                                                const Segment* segments, const uint16_t* const* x,
                                                int64_t lines, const unsigned char* ahead,
                                                Lanes (*sums)[kSegments]) {
  for (int t = 0; t < kTokens; ++t) {
    for (int s = 0; s < kSegments; ++s) sums[t][s] = zeros();
  }
  for (int64_t line = 0; line < lines; ++line, ahead += kSegments * 64) {
#pragma GCC unroll 8
    for (int s = 0; s < kSegments; ++s) {
      Pairs pairs[Codes::kPairs];
      prefetch(ahead + s * 64);
      expand_line(codes, shape, segments[s], line, pairs);
      const int64_t at = segments[s].input + line * 2 * Codes::kPairs;
#pragma GCC unroll 4
      for (int i = 0; i < Codes::kPairs; ++i) {
#pragma GCC unroll 8
        for (int t = 0; t < kTokens; ++t)
          sums[t][s] = dot_pairs(sums[t][s], pairs[i], broadcast_pair(x[t] + at + 2 * i));
      }
    }
  }
}

// ---- Strips ----

// Segments of a strip: as many as leave their sums in registers.
constexpr int kStripSegments = 8;
constexpr int kStripSegmentsOfMore = 4;
constexpr int strip_segments(int tokens) {
  return tokens == 1 ? kStripSegments : tokens <= 4 ? kStripSegmentsOfMore : 2;
}

// Where the segments of a strip are, from its beginning; shorter strips take the first of them.
struct StripPlaces {
  int64_t lines[kStripSegments];
  int64_t numbers[kStripSegments];  // of the segment's group
};

// Whether strips fit all of a panel but a last short segment of one that has no groups.
inline bool has_strips(const PanelShape& shape) {
  if (shape.plane_bits > 0 || shape.groups_per_outer != shape.groups) return false;
  if (shape.groups == 1) return shape.scale == ScaleKind::kNone && !shape.needs_sums;
  const int64_t in_group = shape.segments_per_group;
  const bool is_whole = in_group == 1 ? shape.group_inputs % shape.line_inputs == 0
                                      : shape.group_inputs == in_group * kSegmentInputs;
  return is_whole && shape.cols == shape.groups * shape.group_inputs && kStripSegmentsOfMore % in_group == 0;
}

inline StripPlaces strip_places(const PanelShape& shape) {
  StripPlaces places;
  const int64_t in_group = shape.groups == 1 ? kStripSegments : shape.segments_per_group;
  for (int64_t s = 0; s < kStripSegments; ++s) {
    const int64_t group = s / in_group * shape.group_bytes;
    places.lines[s] = group + s % in_group * shape.segment_bytes;
    places.numbers[s] = group + shape.lines_bytes;
  }
  return places;
}

// A panel while strips run over it.
template <int kTokens>
struct Stream {
  const MatrixProduct& product;
  const StripPlaces& places;
  const unsigned char* at;     // of the next strip
  const uint16_t* x[kTokens];  // the next strip's inputs
  int64_t first_token;
  int64_t segment = 0;  // the next one's place in the row
  Steps<kTokens> steps;
};

// One strip of segments of `lines` code lines.
template <typename Codes, ScaleKind kScale, bool kHasSums, int kTokens, int kSegments>
void run_strip(const Codes& codes, int64_t lines, int64_t inputs, Stream<kTokens>& stream) {
  const PanelShape& shape = *stream.product.shape;
  Segment segments[kSegments];
#pragma GCC unroll 8
  for (int s = 0; s < kSegments; ++s) {
    segments[s].lines = stream.at + stream.places.lines[s];
    segments[s].input = s * inputs;
  }
  const unsigned char* const ahead = stream.at + kPrefetchBytes;
  Lanes sums[kTokens][kSegments];
  sum_segments<Codes, kTokens, kSegments>(shape, codes, segments, stream.x, lines, ahead, sums);
  const unsigned char* const ahead_of_numbers = ahead + lines * kSegments * 64;
  Steps<kTokens> steps = stream.steps;
#pragma GCC unroll 8
  for (int s = 0; s < kSegments; ++s) {
    const unsigned char* from = stream.at + stream.places.numbers[s];
    if constexpr (kScale != ScaleKind::kNone) prefetch(ahead_of_numbers + s * 16 * number_bytes(kScale));
    if constexpr (kHasSums) {
      const GroupNumbers numbers = load_group_numbers(shape, from);
      for (int t = 0; t < kTokens; ++t) {
        const float sum = segment_sum(stream.product, stream.first_token + t, stream.segment + s);
        steps.add_segment(shape, numbers, t, sums[t][s], sum);
      }
    } else {
      const Lanes scale = load_numbers(kScale, from);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        steps.products[t] = kScale == ScaleKind::kNone ? add(steps.products[t], sums[t][s])
                                                       : fma(scale, sums[t][s], steps.products[t]);
      }
    }
  }
  stream.steps = steps;
  for (int t = 0; t < kTokens; ++t) stream.x[t] += kSegments * inputs;
  stream.segment += kSegments;
}

template <typename Codes, ScaleKind kScale, bool kHasSums, int kTokens>
void stream_strips(const MatrixProduct& p, const Codes& codes) {
  constexpr int kAtOnce = strip_segments(kTokens);
  const PanelShape& shape = *p.shape;
  const StripPlaces places = strip_places(shape);
  const bool has_groups = shape.groups > 1;
  const int64_t inputs = has_groups && shape.segments_per_group == 1 ? shape.group_inputs : kSegmentInputs;
  const int64_t lines = inputs / shape.line_inputs;
  const int64_t full = shape.cols / inputs;  // segments
  const int64_t short_lines = (shape.cols % inputs + shape.line_inputs - 1) / shape.line_inputs;
  const auto bytes_of = [&](int64_t segments) {
    return has_groups ? segments / shape.segments_per_group * shape.group_bytes
                      : segments * shape.segment_bytes;
  };
  for (int64_t panel = 0; panel < p.panel_count; ++panel) {
    const unsigned char* const begin = p.panels + panel * p.panel_bytes;
    Stream<kTokens> stream = {p, places, begin, {}, 0, 0, {}};
    for (int t = 0; t < kTokens; ++t) stream.x[t] = x_of(p, t);
    const int64_t strip_bytes = bytes_of(kAtOnce);
    for (int64_t left = full / kAtOnce; left > 0; --left, stream.at += strip_bytes) {
      run_strip<Codes, kScale, kHasSums, kTokens, kAtOnce>(codes, lines, inputs, stream);
    }
    if (kAtOnce > 4 && (full & 4) != 0) {
      run_strip<Codes, kScale, kHasSums, kTokens, 4>(codes, lines, inputs, stream);
      stream.at += bytes_of(4);
    }
    if (kAtOnce > 2 && (full & 2) != 0) {
      run_strip<Codes, kScale, kHasSums, kTokens, 2>(codes, lines, inputs, stream);
      stream.at += bytes_of(2);
    }
    if ((full & 1) != 0) {
      run_strip<Codes, kScale, kHasSums, kTokens, 1>(codes, lines, inputs, stream);
      stream.at += bytes_of(1);
    }
    if (short_lines > 0) run_strip<Codes, kScale, kHasSums, kTokens, 1>(codes, short_lines, inputs, stream);
    stream.steps.end_outer(shape, begin + bytes_of(full) + short_lines * 64);
    for (int t = 0; t < kTokens; ++t) store(p.y + t * p.y_stride + panel * 16, stream.steps.total[t]);
  }
}

// ---- Any shape ----

template <typename Codes, int kTokens, int kAtOnce>
void stream_panel(const MatrixProduct& p, const Codes& codes, const unsigned char* panel, float* y) {
  const PanelShape& shape = *p.shape;
  const uint16_t* x[kTokens];
  for (int t = 0; t < kTokens; ++t) x[t] = x_of(p, t);
  const int64_t full = shape.group_inputs < kSegmentInputs ? shape.group_inputs : kSegmentInputs;
  const int64_t full_lines = (full + shape.line_inputs - 1) / shape.line_inputs;
  Steps<kTokens> steps;
  GroupNumbers numbers = {zeros(), zeros(), zeros()};
  int64_t index = 0;  // of the segment in the row
  // What follows a segment: numbers of its group, if it is the group's first, and of the second level.
  const unsigned char* group_numbers[kAtOnce];
  const unsigned char* outer_numbers[kAtOnce];
  Segment segments[kAtOnce];
  const auto finish = [&](int s, const Lanes* sums, int64_t stride) {
    if (group_numbers[s] != nullptr) numbers = load_group_numbers(shape, group_numbers[s]);
    for (int t = 0; t < kTokens; ++t) {
      steps.add_segment(shape, numbers, t, sums[t * stride], segment_sum(p, t, index));
    }
    if (outer_numbers[s] != nullptr) steps.end_outer(shape, outer_numbers[s]);
    ++index;
  };
  for (Walk walk(shape, panel); !walk.is_done();) {
    int count = 0;
    bool are_full = true;
    for (; count < kAtOnce && !walk.is_done() && are_full; ++count, walk.next()) {
      segments[count] = walk.segment();
      group_numbers[count] = walk.index == 0 ? walk.numbers() : nullptr;
      outer_numbers[count] = walk.is_last_of_group() && walk.ends_outer() ? walk.outer_numbers() : nullptr;
      are_full = segments[count].count == full;
    }
    if (count == kAtOnce && are_full) {
      Lanes sums[kTokens][kAtOnce];
      sum_segments<Codes, kTokens, kAtOnce>(shape, codes, segments, x, full_lines,
                                            segments[0].lines + kPrefetchBytes, sums);
      for (int s = 0; s < kAtOnce; ++s) finish(s, &sums[0][s], kAtOnce);
      continue;
    }
    for (int s = 0; s < count; ++s) {
      const int64_t inputs = segments[s].count > 0 ? segments[s].count : 0;
      Lanes sums[kTokens][1];
      sum_segments<Codes, kTokens, 1>(shape, codes, segments + s, x,
                                      (inputs + shape.line_inputs - 1) / shape.line_inputs,
                                      segments[s].lines + kPrefetchBytes, sums);
      finish(s, &sums[0][0], 1);
    }
  }
  for (int t = 0; t < kTokens; ++t) store(y + t * p.y_stride, steps.total[t]);
}

template <typename Codes, int kTokens>
void stream_panels(const MatrixProduct& p, const Codes& codes) {
  constexpr int kAtOnce = strip_segments(kTokens);
  for (int64_t panel = 0; panel < p.panel_count; ++panel) {
    stream_panel<Codes, kTokens, kAtOnce>(p, codes, p.panels + panel * p.panel_bytes, p.y + panel * 16);
  }
}

template <typename Codes, int kTokens>
void stream_tokens(const MatrixProduct& p, const Codes& codes) {
  if (!has_strips(*p.shape)) return stream_panels<Codes, kTokens>(p, codes);
  const ScaleKind scale = p.shape->scale;
  if (scale == ScaleKind::kNone) return stream_strips<Codes, ScaleKind::kNone, false, kTokens>(p, codes);
  if constexpr (Codes::kPairs > 1) {
    if (p.shape->needs_sums) return stream_strips<Codes, ScaleKind::kF32, true, kTokens>(p, codes);
    if (scale == ScaleKind::kF32) return stream_strips<Codes, ScaleKind::kF32, false, kTokens>(p, codes);
    if (scale == ScaleKind::kBf16) return stream_strips<Codes, ScaleKind::kBf16, false, kTokens>(p, codes);
    if (scale == ScaleKind::kF16) return stream_strips<Codes, ScaleKind::kF16, false, kTokens>(p, codes);
    if (scale == ScaleKind::kE4m3) return stream_strips<Codes, ScaleKind::kE4m3, false, kTokens>(p, codes);
    if (scale == ScaleKind::kE8m0) return stream_strips<Codes, ScaleKind::kE8m0, false, kTokens>(p, codes);
  }
  stream_panels<Codes, kTokens>(p, codes);
}

// Rows that codes are expanded for once.
template <typename Codes>
void stream_together(const MatrixProduct& p, const Codes& codes) {
  switch (p.tokens) {
    case 1:
      return stream_tokens<Codes, 1>(p, codes);
    case 2:
      return stream_tokens<Codes, 2>(p, codes);
    case 3:
      return stream_tokens<Codes, 3>(p, codes);
    case 4:
      return stream_tokens<Codes, 4>(p, codes);
    default:
      if constexpr (Codes::kPairs == 1) return stream_strips<Codes, ScaleKind::kNone, false, 8>(p, codes);
  }
}

// How many of `left` rows to take together.
template <typename Codes>
int64_t tokens_together(const PanelShape& shape, int64_t left) {
  if (Codes::kPairs == 1 && left >= 8 && shape.scale == ScaleKind::kNone && has_strips(shape)) return 8;
  return left < kTokensTogether ? left : kTokensTogether;
}

// More rows than can be taken together take turns at each panel, which stays in the second cache meanwhile.
template <typename Codes>
void stream(const MatrixProduct& p, const Codes& codes) {
  MatrixProduct part = p;
  part.tokens = tokens_together<Codes>(*p.shape, p.tokens);
  if (part.tokens == p.tokens) return stream_together(p, codes);
  part.panel_count = 1;
  for (int64_t panel = 0; panel < p.panel_count; ++panel) {
    part.panels = p.panels + panel * p.panel_bytes;
    for (int64_t first = 0; first < p.tokens; first += part.tokens) {
      part.tokens = tokens_together<Codes>(*p.shape, p.tokens - first);
      part.y = p.y + first * p.y_stride + panel * 16;
      if (p.x_rows != nullptr) {
        part.x_rows = p.x_rows + first;
      } else {
        part.x = static_cast<const uint16_t*>(p.x) + first * p.x_stride;
        if (p.x_sums != nullptr) part.x_sums = p.x_sums + first * p.sums_stride;
      }
      stream_together(part, codes);
    }
  }
}

}  // namespace
}  // namespace beryl::backend
