// The portable kernels: plain loops over 16 lanes that any compiler vectorises for its baseline.

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "backend/cpu/kernels.h"
#include "base/number_types.h"

namespace beryl::backend {
namespace {

using formats::CodeKind;
using formats::ScaleKind;

constexpr int64_t kTokenTile = 8;  // tokens that share one decoded block

using Lanes = std::array<float, kPanelRows>;
using Line = std::array<uint32_t, kPanelRows>;
using Block = std::array<Lanes, kSegmentInputs>;  // [input of the block][row]

Line load_line(const std::byte* from) {
  Line line;
  std::memcpy(line.data(), from, kLineBytes);
  return line;
}

// Decoders of one code line into the inputs that it holds. Codes are finite (checked when they were packed),
// so f16 and e4m3 need no special cases: shifted into float32's fields they are off by a power of two,
// subnormals too.
struct DecodeBf16 {
  static constexpr int64_t kCodes = 2;
  static void decode(const Line& line, Lanes* out) {
    for (size_t r = 0; r < kPanelRows; ++r) {
      out[0][r] = std::bit_cast<float>(line[r] << 16);
      out[1][r] = std::bit_cast<float>(line[r] & 0xffff0000U);
    }
  }
};

struct DecodeF16 {
  static constexpr int64_t kCodes = 2;
  static float value(uint32_t code) {
    return std::bit_cast<float>(((code & 0x8000U) << 16) | ((code & 0x7fffU) << 13)) * 0x1p112F;
  }
  static void decode(const Line& line, Lanes* out) {
    for (size_t r = 0; r < kPanelRows; ++r) {
      out[0][r] = value(line[r]);
      out[1][r] = value(line[r] >> 16);
    }
  }
};

struct DecodeF32 {
  static constexpr int64_t kCodes = 1;
  static void decode(const Line& line, Lanes* out) {
    for (size_t r = 0; r < kPanelRows; ++r) out[0][r] = std::bit_cast<float>(line[r]);
  }
};

// Codes of 8 bits; inputs 0 2 1 3 from the low byte up.
template <typename Value>
struct DecodeBytes {
  static constexpr int64_t kCodes = 4;
  static void decode(const Line& line, Lanes* out) {
    for (size_t r = 0; r < kPanelRows; ++r) {
      out[0][r] = Value::value(line[r]);
      out[1][r] = Value::value(line[r] >> 16);
      out[2][r] = Value::value(line[r] >> 8);
      out[3][r] = Value::value(line[r] >> 24);
    }
  }
};
struct E4m3Value {
  static float value(uint32_t code) {
    return std::bit_cast<float>(((code & 0x80U) << 24) | ((code & 0x7fU) << 20)) * 0x1p120F;
  }
};
struct SignedValue {
  static float value(uint32_t code) { return static_cast<float>(static_cast<int8_t>(code & 0xffU)); }
};
struct UnsignedValue {
  static float value(uint32_t code) { return static_cast<float>(static_cast<int32_t>(code & 0xffU)); }
};

// Codes of 4 to 6 bits, by table; the bits above the fourth come from a plane line.
constexpr int64_t kNibbles = 8;

void decode_nibbles(const float* values, const Line& line, Lanes* out) {
  for (size_t pair = 0; pair < kNibbles / 2; ++pair) {
    for (size_t r = 0; r < kPanelRows; ++r) {
      out[2 * pair][r] = values[line[r] >> (4 * pair) & 15U];
      out[2 * pair + 1][r] = values[line[r] >> (16 + 4 * pair) & 15U];
    }
  }
}

// `first` is the place of the line's first input in the plane line.
void decode_with_plane(const float* values, const Line& line, const Line& plane, uint32_t plane_bits,
                       size_t first, Lanes* out) {
  const uint32_t mask = (1U << plane_bits) - 1;
  for (size_t i = 0; i < kNibbles; ++i) {
    const size_t half = i % 2 * 16;
    const size_t code_shift = half + i / 2 * 4;
    const size_t plane_shift = half + (first + i) / 2 * plane_bits;
    for (size_t r = 0; r < kPanelRows; ++r) {
      out[i][r] = values[(line[r] >> code_shift & 15U) | (plane[r] >> plane_shift & mask) << 4];
    }
  }
}

// Part of a group: inputs [first, first + count) of it, whose lines begin at `lines`. `first` is a multiple
// of kSegmentInputs.
struct Segment {
  const PackedLayout& layout;
  const std::byte* lines;
  int64_t group_inputs;
  int64_t first;
  int64_t count;
};

template <typename Decode>
void decode_lines(const Segment& segment, Block& block) {
  const std::byte* from = segment.lines + segment.first / Decode::kCodes * kLineBytes;
  for (int64_t i = 0; i * Decode::kCodes < segment.count; ++i) {
    Decode::decode(load_line(from + i * kLineBytes), &block[static_cast<size_t>(i * Decode::kCodes)]);
  }
}

void decode_table(const Segment& segment, Block& block) {
  const PackedLayout& layout = segment.layout;
  const float* values = formats::code_values(layout.scheme.codes).data();
  const std::byte* from = segment.lines + segment.first / kNibbles * kLineBytes;
  const std::byte* planes = segment.lines + layout.code_lines(segment.group_inputs) * kLineBytes;
  for (int64_t i = 0; i * kNibbles < segment.count; ++i) {
    const Line line = load_line(from + i * kLineBytes);
    Lanes* out = &block[static_cast<size_t>(i * kNibbles)];
    if (layout.plane_inputs == 0) {
      decode_nibbles(values, line, out);
      continue;
    }
    const int64_t input = segment.first + i * kNibbles;
    const Line plane = load_line(planes + input / layout.plane_inputs * kLineBytes);
    decode_with_plane(values, line, plane, static_cast<uint32_t>(layout.code_bits - 4),
                      static_cast<size_t>(input % layout.plane_inputs), out);
  }
}

// Fills block[input][row] with the values of the codes.
void decode_segment(const Segment& segment, Block& block) {
  switch (segment.layout.scheme.codes) {
    case CodeKind::kBf16:
      return decode_lines<DecodeBf16>(segment, block);
    case CodeKind::kF16:
      return decode_lines<DecodeF16>(segment, block);
    case CodeKind::kF32:
      return decode_lines<DecodeF32>(segment, block);
    case CodeKind::kE4m3:
      return decode_lines<DecodeBytes<E4m3Value>>(segment, block);
    case CodeKind::kI8:
      return decode_lines<DecodeBytes<SignedValue>>(segment, block);
    case CodeKind::kU8:
      return decode_lines<DecodeBytes<UnsignedValue>>(segment, block);
    default:
      return decode_table(segment, block);
  }
}

float number_at(ScaleKind kind, const std::byte* from, size_t index) {
  uint32_t bits = 0;
  const auto bytes = static_cast<size_t>(formats::scale_bytes(kind));
  std::memcpy(&bits, from + index * bytes, bytes);
  switch (kind) {
    case ScaleKind::kNone:
      return 0;
    case ScaleKind::kF32:
      return std::bit_cast<float>(bits);
    case ScaleKind::kBf16:
      return bf16_to_float(static_cast<uint16_t>(bits));
    case ScaleKind::kF16:
      return f16_to_float(static_cast<uint16_t>(bits));
    case ScaleKind::kE4m3:
      return e4m3_to_float(static_cast<uint8_t>(bits));
    case ScaleKind::kE8m0:
      return e8m0_to_float(static_cast<uint8_t>(bits));
    case ScaleKind::kU8:
      return static_cast<float>(bits);
    case ScaleKind::kI8:
      return static_cast<float>(static_cast<int8_t>(bits));
  }
  return 0;
}

Lanes load_numbers(ScaleKind kind, const std::byte* from) {
  Lanes lanes;
  for (size_t r = 0; r < kPanelRows; ++r) lanes[r] = number_at(kind, from, r);
  return lanes;
}

// The numbers behind the lines of a group, or of an outer group; what is absent is 1 for scales, else 0.
struct Numbers {
  Lanes scales;
  Lanes zeros;
  Lanes minimums;
};

Numbers group_numbers(const PackedLayout& layout, const std::byte* panel, int64_t group) {
  Numbers numbers;
  numbers.scales.fill(1);
  numbers.zeros.fill(0);
  numbers.minimums.fill(0);
  const formats::Scheme& scheme = layout.scheme;
  const std::byte* from = panel + layout.group_offset(group) + layout.line_bytes(layout.inputs_of(group));
  if (scheme.scale != ScaleKind::kNone) numbers.scales = load_numbers(scheme.scale, from);
  from += layout.scales_bytes();
  if (scheme.has_zeros) numbers.zeros = load_numbers(ScaleKind::kU8, from);
  from += layout.zeros_bytes();
  if (scheme.minimum != ScaleKind::kNone) numbers.minimums = load_numbers(scheme.minimum, from);
  return numbers;
}

Numbers outer_numbers(const PackedLayout& layout, const std::byte* panel, int64_t outer) {
  Numbers numbers;
  numbers.scales.fill(1);
  numbers.minimums.fill(1);
  if (layout.outer_groups == 0) return numbers;
  const std::byte* from = panel + layout.outer_offset(outer);
  numbers.scales = load_numbers(layout.scheme.outer, from);
  if (layout.scheme.has_outer_minimum) {
    from += kPanelRows * formats::scale_bytes(layout.scheme.outer);
    numbers.minimums = load_numbers(layout.scheme.outer, from);
  }
  return numbers;
}

// Sums of one token over the inputs of an outer group.
struct Sums {
  Lanes products{};
  Lanes minimums{};
};

// Adds one segment's share: scales * (sum of weight * x - zeros * sum of x), minimums * sum of x.
void add_segment(const PackedLayout& layout, const Block& block, int64_t count, const Numbers& numbers,
                 const float* x, Sums& sums) {
  Lanes products{};
  for (int64_t k = 0; k < count; ++k) {
    const Lanes& weights = block[static_cast<size_t>(k)];
    for (size_t r = 0; r < kPanelRows; ++r) products[r] += weights[r] * x[k];
  }
  const bool has_minimum = layout.scheme.minimum != ScaleKind::kNone;
  if (layout.scheme.has_zeros || has_minimum) {
    float x_sum = 0;
    for (int64_t k = 0; k < count; ++k) x_sum += x[k];
    for (size_t r = 0; r < kPanelRows; ++r) {
      products[r] -= numbers.zeros[r] * x_sum;
      sums.minimums[r] += numbers.minimums[r] * x_sum;
    }
  }
  for (size_t r = 0; r < kPanelRows; ++r) sums.products[r] += products[r] * numbers.scales[r];
}

// Some tokens of a product, and one of its panels.
struct Tile {
  const MatrixProduct& product;
  const PackedLayout& layout;
  const std::byte* panel;
  int64_t first_token;
  int64_t tokens;

  // Inputs [first, first + count) of a token as floats.
  void read_inputs(int64_t token, int64_t first, int64_t count, float* out) const {
    const int64_t t = first_token + token;
    const int64_t row = product.x_rows == nullptr ? t : product.x_rows[t];
    const int64_t at = row * product.x_stride + first;
    for (int64_t k = 0; k < count; ++k) {
      out[k] = product.x_is_bf16 ? bf16_to_float(static_cast<const uint16_t*>(product.x)[at + k])
                                 : static_cast<const float*>(product.x)[at + k];
    }
  }
};

void add_group(const Tile& tile, int64_t group, Sums* sums) {
  const PackedLayout& layout = tile.layout;
  const int64_t inputs = layout.inputs_of(group);
  const Numbers numbers = group_numbers(layout, tile.panel, group);
  for (int64_t first = 0; first < inputs; first += kSegmentInputs) {
    const int64_t count = std::min<int64_t>(kSegmentInputs, inputs - first);
    Block block;
    decode_segment({layout, tile.panel + layout.group_offset(group), inputs, first, count}, block);
    for (int64_t t = 0; t < tile.tokens; ++t) {
      std::array<float, kSegmentInputs> x;
      tile.read_inputs(t, group * layout.group_inputs + first, count, x.data());
      add_segment(layout, block, count, numbers, x.data(), sums[t]);
    }
  }
}

void multiply_tile(const Tile& tile, float* y) {
  const PackedLayout& layout = tile.layout;
  const int64_t outers = (layout.groups + layout.groups_per_outer - 1) / layout.groups_per_outer;
  std::array<Lanes, kTokenTile> totals{};
  for (int64_t outer = 0; outer < outers; ++outer) {
    std::array<Sums, kTokenTile> sums;
    const int64_t end = std::min((outer + 1) * layout.groups_per_outer, layout.groups);
    for (int64_t group = outer * layout.groups_per_outer; group < end; ++group) {
      add_group(tile, group, sums.data());
    }
    const Numbers factors = outer_numbers(layout, tile.panel, outer);
    for (size_t t = 0; t < static_cast<size_t>(tile.tokens); ++t) {
      for (size_t r = 0; r < kPanelRows; ++r) {
        totals[t][r] += sums[t].products[r] * factors.scales[r] + sums[t].minimums[r] * factors.minimums[r];
      }
    }
  }
  for (int64_t t = 0; t < tile.tokens; ++t) {
    std::memcpy(y + t * tile.product.y_stride, totals[static_cast<size_t>(t)].data(), sizeof(Lanes));
  }
}

void multiply(const MatrixProduct& p) {
  const PackedLayout& layout = *static_cast<const PackedLayout*>(p.shape->layout);
  for (int64_t panel = 0; panel < p.panel_count; ++panel) {
    const auto* from = reinterpret_cast<const std::byte*>(p.panels + panel * p.panel_bytes);
    for (int64_t first = 0; first < p.tokens; first += kTokenTile) {
      multiply_tile({p, layout, from, first, std::min(kTokenTile, p.tokens - first)},
                    p.y + first * p.y_stride + panel * kPanelRows);
    }
  }
}

}  // namespace

void decode_packed_row(const PackedLayout& layout, const std::byte* panel, int64_t row, float* out) {
  const auto r = static_cast<size_t>(row);
  for (int64_t group = 0; group < layout.groups; ++group) {
    const Numbers numbers = group_numbers(layout, panel, group);
    const Numbers factors = outer_numbers(layout, panel, group / layout.groups_per_outer);
    const float scale = numbers.scales[r] * factors.scales[r];
    const float minimum = numbers.minimums[r] * factors.minimums[r];
    const int64_t inputs = layout.inputs_of(group);
    for (int64_t first = 0; first < inputs; first += kSegmentInputs) {
      const int64_t count = std::min<int64_t>(kSegmentInputs, inputs - first);
      Block block;
      decode_segment({layout, panel + layout.group_offset(group), inputs, first, count}, block);
      float* to = out + group * layout.group_inputs + first;
      for (int64_t k = 0; k < count; ++k) {
        to[k] = (block[static_cast<size_t>(k)][r] - numbers.zeros[r]) * scale;
        if (layout.scheme.minimum != ScaleKind::kNone) to[k] += minimum;
      }
    }
  }
}

MultiplyFunction multiply_portable() {
  return multiply;
}

}  // namespace beryl::backend
