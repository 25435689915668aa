// Matrix kernels in AVX-512 with bf16 dot products (vdpbf16ps), for codes that bf16 holds exactly and bf16
// inputs. Other codes and inputs go to the multiply-add kernels of the same instruction set.
//
// Order of a segment's sum: pairs of inputs (2i, 2i + 1), ascending, in one chain from zero; then as
// matrix_steps.h says. Few tokens stream the codes once (stream_avx512.h); many tokens expand four panels,
// 128 inputs at a time, to bf16 in a buffer that stays in the first cache, and run tiles of four panels by
// three tokens over it. Both add the same numbers in the same order.

#include "backend/cpu/matrix_kernels.h"
#include "backend/cpu/pairs_avx512.h"
#include "backend/cpu/stream_avx512.h"

namespace beryl::backend {
namespace {

// ---- Many tokens: expand, then tiles ----

constexpr int kTilePanels = 4;
constexpr int kTileTokens = 3;
// Inputs of a block, unless groups are larger; those of the largest.
constexpr int64_t kBlockInputs = 128;
constexpr int64_t kMostInputs = 256;

constexpr int kBlockSegments = 16;

// Four panels (fewer are padded with the last) over some whole groups, expanded.
struct Block {
  uint32_t* codes;  // [pairs of the block][panel][16 rows], padded to whole lines of each segment
  float* scales;    // [segments][panel][16], where the shape has scales
  float* zeros;     // the same, where it has zero points
  float* minimums;  // the same, where it has minimums
  int64_t first;    // segment of the row
  int segments;
  int64_t inputs[kBlockSegments];  // the first input of each
  int64_t pairs[kBlockSegments];   // of each, padding included
};

template <int kTokens>
void run_tile(const PanelShape& shape, const MatrixProduct& p, const Block& block, int64_t first_token,
              Lanes (*sums)[kTilePanels]) {
  const uint16_t* x[kTokens];
  for (int t = 0; t < kTokens; ++t) x[t] = x_of(p, first_token + t);
  const uint32_t* codes = block.codes;
  const bool has_scales = shape.scale != ScaleKind::kNone;
  for (int s = 0; s < block.segments; ++s) {
    Lanes part[kTokens][kTilePanels];
    for (int t = 0; t < kTokens; ++t) {
      for (int i = 0; i < kTilePanels; ++i) part[t][i] = zeros();
    }
    const int64_t pairs = block.pairs[s];
    const int64_t first = block.inputs[s];
    for (int64_t k = 0; k < pairs; ++k) {
      __m512i weights[kTilePanels];
#pragma GCC unroll 4
      for (int i = 0; i < kTilePanels; ++i)
        weights[i] = _mm512_load_si512(codes + (k * kTilePanels + i) * 16);
#pragma GCC unroll 4
      for (int t = 0; t < kTokens; ++t) {
        const __m512i input = broadcast_pair(x[t] + first + 2 * k);
#pragma GCC unroll 4
        for (int i = 0; i < kTilePanels; ++i) part[t][i] = dot_pairs(part[t][i], weights[i], input);
      }
    }
    codes += pairs * kTilePanels * 16;
    const int64_t at = static_cast<int64_t>(s) * kTilePanels * 16;
    for (int t = 0; t < kTokens; ++t) {
      const float x_sum = shape.has_zeros ? segment_sum(p, first_token + t, block.first + s) : 0;
      for (int i = 0; i < kTilePanels; ++i) {
        Lanes sum = part[t][i];
        if (shape.has_zeros) sum = fnma(load(block.zeros + at + i * 16), all(x_sum), sum);
        sums[t][i] =
            has_scales ? fma(load(block.scales + at + i * 16), sum, sums[t][i]) : add(sums[t][i], sum);
      }
    }
  }
}

// Expands the segments from those of the walks on, which are one a panel and move on. `outer` gets the place
// of the second level's numbers behind the last of them.
template <typename Codes>
void expand_block(const PanelShape& shape, const Codes& codes, Walk* walks, Block& block,
                  const unsigned char** outer) {
  uint32_t* to = block.codes;
  for (int s = 0; s < block.segments; ++s) {
    int64_t lines = 0;
    for (int i = 0; i < kTilePanels; ++i) {
      const Segment segment = walks[i].segment();
      lines = segment.count > 0 ? (segment.count + shape.line_inputs - 1) / shape.line_inputs : 0;
      block.inputs[s] = segment.input;
      for (int64_t line = 0; line < lines; ++line) {
        Pairs out[Codes::kPairs];
        expand_line(codes, shape, segment, line, out);
        for (int k = 0; k < Codes::kPairs; ++k) {
          _mm512_store_si512(to + ((line * Codes::kPairs + k) * kTilePanels + i) * 16, out[k]);
        }
      }
      const GroupNumbers numbers = load_group_numbers(shape, walks[i].numbers());
      const int64_t at = (static_cast<int64_t>(s) * kTilePanels + i) * 16;
      store(block.scales + at, numbers.scale);
      if (shape.has_zeros) store(block.zeros + at, numbers.zero);
      if (shape.minimum != ScaleKind::kNone) store(block.minimums + at, numbers.minimum);
      outer[i] = walks[i].outer_numbers();
      walks[i].next();
    }
    block.pairs[s] = lines * Codes::kPairs;
    to += block.pairs[s] * kTilePanels * 16;
  }
}

// Sums of one token's four panels between blocks.
struct TileSums {
  float products[kTilePanels][16];
  float minimums[kTilePanels][16];
  float totals[kTilePanels][16];
};

template <int kTokens>
void add_minimums(const MatrixProduct& p, const Block& block, int64_t first_token, TileSums* kept) {
  Lanes sums[kTokens][kTilePanels];
  for (int t = 0; t < kTokens; ++t) {
    for (int i = 0; i < kTilePanels; ++i) sums[t][i] = load(kept[t].minimums[i]);
  }
  for (int s = 0; s < block.segments; ++s) {
    if (block.pairs[s] == 0) continue;
    const float* minimums = block.minimums + static_cast<int64_t>(s) * kTilePanels * 16;
    for (int t = 0; t < kTokens; ++t) {
      const Lanes x_sum = all(segment_sum(p, first_token + t, block.first + s));
      for (int i = 0; i < kTilePanels; ++i) sums[t][i] = fma(load(minimums + i * 16), x_sum, sums[t][i]);
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    for (int i = 0; i < kTilePanels; ++i) store(kept[t].minimums[i], sums[t][i]);
  }
}

template <int kTokens>
void run_tokens(const PanelShape& shape, const MatrixProduct& p, const Block& block, int64_t first_token,
                TileSums* kept) {
  Lanes sums[kTokens][kTilePanels];
  for (int t = 0; t < kTokens; ++t) {
    for (int i = 0; i < kTilePanels; ++i) sums[t][i] = load(kept[t].products[i]);
  }
  run_tile<kTokens>(shape, p, block, first_token, sums);
  for (int t = 0; t < kTokens; ++t) {
    for (int i = 0; i < kTilePanels; ++i) store(kept[t].products[i], sums[t][i]);
  }
  if (shape.minimum != ScaleKind::kNone) add_minimums<kTokens>(p, block, first_token, kept);
}

// Level 2, once the last group of an outer group is in; `from` are its numbers in each panel.
inline void end_outer(const PanelShape& shape, const unsigned char* const* from, int64_t tokens,
                      TileSums* kept) {
  for (int i = 0; i < kTilePanels; ++i) {
    const Lanes scale = load_numbers(shape.outer, from[i]);
    Lanes outer_minimum = zeros();
    if (shape.has_outer_minimum) {
      outer_minimum = load_numbers(shape.outer, from[i] + 16 * number_bytes(shape.outer));
    }
    for (int64_t t = 0; t < tokens; ++t) {
      const Lanes products = load(kept[t].products[i]);
      Lanes total = load(kept[t].totals[i]);
      total = shape.outer != ScaleKind::kNone ? fma(scale, products, total) : add(total, products);
      if (shape.minimum != ScaleKind::kNone) {
        const Lanes minimums = load(kept[t].minimums[i]);
        total = shape.has_outer_minimum ? fma(outer_minimum, minimums, total) : add(total, minimums);
      }
      store(kept[t].totals[i], total);
      store(kept[t].products[i], zeros());
      store(kept[t].minimums[i], zeros());
    }
  }
}

// What the next block reads, fetched while tiles of this one run: panels are read at the speed of memory.
struct Ahead {
  const unsigned char* from[kTilePanels];
  int64_t bytes;  // of each panel, all of them

  // The share of `part` of `parts`. Fetching what is not there is harmless.
  void fetch(int64_t part, int64_t parts) const {
    const int64_t each = (bytes / parts + 63) / 64 * 64;
    for (int64_t at = part * each; at < (part + 1) * each; at += 64) {
      for (const unsigned char* panel : from) {
        _mm_prefetch(reinterpret_cast<const char*>(panel + at), _MM_HINT_T1);
      }
    }
  }
};

// Segments that a block takes: whole groups, kBlockInputs where groups allow it.
inline int64_t block_segments(const PanelShape& shape) {
  if (shape.groups == 1) return kBlockInputs / kSegmentInputs;
  const int64_t groups = kBlockInputs / shape.group_inputs;
  return (groups > 0 ? groups : 1) * shape.segments_per_group;
}

template <typename Codes>
void multiply_tiles(const MatrixProduct& p, const Codes& codes, const unsigned char* const* panels,
                    int64_t first_token, int64_t tokens, TileSums* kept) {
  const PanelShape& shape = *p.shape;
  const int64_t count = segment_count(&shape);
  __builtin_memset(kept, 0, static_cast<size_t>(tokens) * sizeof(TileSums));
  const int64_t outer_segments = shape.groups_per_outer * shape.segments_per_group;
  Walk walks[kTilePanels] = {{shape, panels[0]}, {shape, panels[1]}, {shape, panels[2]}, {shape, panels[3]}};
  constexpr int64_t kNumbers = kTilePanels * 16 * kBlockSegments;
  Block block;
  block.codes = reinterpret_cast<uint32_t*>(p.scratch);
  block.scales = p.scratch + kTilePanels * 16 * kMostInputs / 2;
  block.zeros = block.scales + kNumbers;
  block.minimums = block.zeros + kNumbers;
  int64_t left_in_outer = outer_segments;
  for (int64_t first = 0; first < count;) {
    int64_t segments = block_segments(shape);
    if (segments > left_in_outer) segments = left_in_outer;
    if (segments > count - first) segments = count - first;
    block.first = first;
    block.segments = static_cast<int>(segments);
    first += segments;
    left_in_outer -= segments;
    const bool is_end = left_in_outer == 0 || first == count;
    // Where the second level's numbers are, before the walks move on.
    const unsigned char* outer[kTilePanels];
    const unsigned char* begin = walks[0].segment().lines;
    expand_block(shape, codes, walks, block, outer);
    Ahead ahead{.from = {}, .bytes = walks[0].segment().lines - begin};
    for (int i = 0; i < kTilePanels; ++i) {
      ahead.from[i] = first == count ? panels[i] + kTilePanels * p.panel_bytes : walks[i].segment().lines;
    }
    int64_t t = 0;
    for (; t + kTileTokens <= tokens; t += kTileTokens) {
      ahead.fetch(t / kTileTokens, tokens / kTileTokens);
      run_tokens<kTileTokens>(shape, p, block, first_token + t, kept + t);
    }
    if (tokens - t == 2) run_tokens<2>(shape, p, block, first_token + t, kept + t);
    if (tokens - t == 1) run_tokens<1>(shape, p, block, first_token + t, kept + t);
    if (!is_end) continue;
    end_outer(shape, outer, tokens, kept);
    left_in_outer = outer_segments;
  }
}

template <typename Codes>
void tile(const MatrixProduct& p, const Codes& codes) {
  TileSums* kept = reinterpret_cast<TileSums*>(p.scratch + kTileScratchFloats);
  for (int64_t panel = 0; panel < p.panel_count; panel += kTilePanels) {
    const unsigned char* panels[kTilePanels];
    for (int i = 0; i < kTilePanels; ++i) {
      const int64_t at = panel + i < p.panel_count ? panel + i : p.panel_count - 1;
      panels[i] = p.panels + at * p.panel_bytes;
    }
    for (int64_t first = 0; first < p.tokens; first += kKernelTokens) {
      const int64_t tokens = p.tokens - first < kKernelTokens ? p.tokens - first : kKernelTokens;
      multiply_tiles(p, codes, panels, first, tokens, kept);
      for (int64_t t = 0; t < tokens; ++t) {
        for (int i = 0; i < kTilePanels && panel + i < p.panel_count; ++i) {
          store(p.y + (first + t) * p.y_stride + (panel + i) * 16, load(kept[t].totals[i]));
        }
      }
    }
  }
}

template <typename Codes>
void multiply_with(const MatrixProduct& p) {
  const Codes codes(*p.shape);
  if (p.tokens <= kStreamTokens) {
    stream(p, codes);
  } else {
    tile(p, codes);
  }
}

// Pairs never straddle groups, and a block holds whole groups.
inline bool has_whole_lines(const PanelShape& shape) {
  return shape.groups == 1 ||
         (shape.group_inputs % 8 == 0 && kMostInputs % shape.group_inputs == 0 && shape.group_inputs >= 16);
}

void multiply(const MatrixProduct& p) {
  if (!p.x_is_bf16 || !has_whole_lines(*p.shape)) return multiply_fma(p);
  switch (p.shape->codes) {
    case CodeKind::kBf16:
      return multiply_with<PairsBf16>(p);
    case CodeKind::kE4m3:
      return multiply_with<PairsE4m3>(p);
    case CodeKind::kI8:
    case CodeKind::kU8:
      return multiply_with<PairsByte>(p);
    case CodeKind::kE2m1:
    case CodeKind::kI4:
    case CodeKind::kU4:
      return multiply_with<PairsNibble>(p);
    case CodeKind::kI5:
    case CodeKind::kU5:
    case CodeKind::kI6:
    case CodeKind::kU6:
      return multiply_with<PairsPlane>(p);
    case CodeKind::kF16:
    case CodeKind::kF32:
    case CodeKind::kNf4:
      return multiply_fma(p);
  }
}

}  // namespace

MultiplyFunction multiply_avx512_bf16() {
  return multiply;
}

}  // namespace beryl::backend
