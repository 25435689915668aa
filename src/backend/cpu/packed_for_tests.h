// Random weights of every kind of numbers, taken apart and packed, with their exact values.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "backend/cpu/pack.h"
#include "backend/cpu/packed_matrix.h"
#include "base/number_types.h"

namespace beryl::backend {

// A scheme whose second level, if it covers whole rows, is to be set to the row's length.
struct TestScheme {
  const char* name;
  formats::Scheme scheme;
  bool has_row_factors = false;

  formats::Scheme of(int64_t cols) const {
    formats::Scheme result = scheme;
    if (has_row_factors) {
      result.outer_group = cols;
      result.outer = formats::ScaleKind::kF32;
    }
    result.group = std::min(result.group, cols);
    result.outer_group = std::min(result.outer_group, cols);
    return result;
  }
};

inline const std::vector<TestScheme>& all_test_schemes() {
  using formats::CodeKind;
  using formats::ScaleKind;
  using S = formats::Scheme;
  static const std::vector<TestScheme> kSchemes = {
      {"bf16", S{.codes = CodeKind::kBf16}},
      {"f16", S{.codes = CodeKind::kF16}},
      {"f32", S{.codes = CodeKind::kF32}},
      {"fp8", S{.codes = CodeKind::kE4m3}, true},
      {"fp8_unscaled", S{.codes = CodeKind::kE4m3}},
      {"fp8_g128", S{.codes = CodeKind::kE4m3, .group = 128, .scale = ScaleKind::kBf16}},
      {"mxfp8", S{.codes = CodeKind::kE4m3, .group = 32, .scale = ScaleKind::kE8m0}},
      {"mxfp4", S{.codes = CodeKind::kE2m1, .group = 32, .scale = ScaleKind::kE8m0}},
      {"nvfp4", S{.codes = CodeKind::kE2m1, .group = 16, .scale = ScaleKind::kE4m3}, true},
      {"int4_row", S{.codes = CodeKind::kI4}, true},
      {"int4_g32", S{.codes = CodeKind::kI4, .group = 32, .scale = ScaleKind::kBf16}},
      {"int4_g128", S{.codes = CodeKind::kI4, .group = 128, .scale = ScaleKind::kF16}},
      {"int4_g32_zeros", S{.codes = CodeKind::kU4, .group = 32, .scale = ScaleKind::kF16, .has_zeros = true}},
      {"int8_row", S{.codes = CodeKind::kI8}, true},
      {"int8_g64_zeros",
       S{.codes = CodeKind::kU8, .group = 64, .scale = ScaleKind::kBf16, .has_zeros = true}},
      {"affine4",
       S{.codes = CodeKind::kU4, .group = 64, .scale = ScaleKind::kBf16, .minimum = ScaleKind::kBf16}},
      {"affine5",
       S{.codes = CodeKind::kU5, .group = 64, .scale = ScaleKind::kBf16, .minimum = ScaleKind::kBf16}},
      {"affine6",
       S{.codes = CodeKind::kU6, .group = 32, .scale = ScaleKind::kF16, .minimum = ScaleKind::kF16}},
      {"affine8",
       S{.codes = CodeKind::kU8, .group = 64, .scale = ScaleKind::kBf16, .minimum = ScaleKind::kBf16}},
      {"nf4", S{.codes = CodeKind::kNf4, .group = 64, .scale = ScaleKind::kF32}},
      {"q5_0", S{.codes = CodeKind::kI5, .group = 32, .scale = ScaleKind::kF16}},
      {"q4_k", S{.codes = CodeKind::kU4,
                 .group = 32,
                 .scale = ScaleKind::kU8,
                 .minimum = ScaleKind::kU8,
                 .outer_group = 256,
                 .outer = ScaleKind::kF16,
                 .has_outer_minimum = true}},
      {"q5_k", S{.codes = CodeKind::kU5,
                 .group = 32,
                 .scale = ScaleKind::kU8,
                 .minimum = ScaleKind::kU8,
                 .outer_group = 256,
                 .outer = ScaleKind::kF16,
                 .has_outer_minimum = true}},
      {"q6_k", S{.codes = CodeKind::kI6,
                 .group = 16,
                 .scale = ScaleKind::kI8,
                 .outer_group = 256,
                 .outer = ScaleKind::kF16}},
  };
  return kSchemes;
}

// A random finite code: mostly of ordinary size, one in eight a zero, subnormal or any code at all.
inline uint32_t random_code(formats::CodeKind kind, std::mt19937& random) {
  const uint32_t bits = static_cast<uint32_t>(random());
  const bool is_special = random() % 8 == 0;
  switch (kind) {
    case formats::CodeKind::kE4m3:
      return (bits & 0x7fU) == 0x7f ? 0x80U : bits & 0xffU;
    case formats::CodeKind::kF16:
      return (bits & 0x7c00U) == 0x7c00U ? bits & 0x83ffU : bits & 0xffffU;
    case formats::CodeKind::kBf16:
      return is_special ? bits & 0x807fU : (bits & 0x807fU) | ((119 + bits % 16) << 7);
    case formats::CodeKind::kF32:
      return is_special ? bits & 0x807fffffU : (bits & 0x807fffffU) | ((119 + bits % 16) << 23);
    default:
      return bits & ((1U << formats::code_bits(kind)) - 1);
  }
}

// A random number that the kind can hold.
inline float random_number(formats::ScaleKind kind, std::mt19937& random) {
  const float value = std::uniform_real_distribution<float>(1e-3F, 2)(random);
  switch (kind) {
    case formats::ScaleKind::kBf16:
      return round_to_bf16(value);
    case formats::ScaleKind::kF16:
      return f16_to_float(static_cast<uint16_t>(0x1400 + random() % 0x2c00));
    case formats::ScaleKind::kE4m3:
      return e4m3_to_float(static_cast<uint8_t>(1 + random() % 0x7e));
    case formats::ScaleKind::kE8m0:
      return e8m0_to_float(static_cast<uint8_t>(120 + random() % 12));
    case formats::ScaleKind::kU8:
      return static_cast<float>(random() % 64);
    case formats::ScaleKind::kI8:
      return static_cast<float>(static_cast<int8_t>(random()));
    default:
      return value;
  }
}

inline float code_value(formats::CodeKind kind, uint32_t code) {
  switch (kind) {
    case formats::CodeKind::kBf16:
      return bf16_to_float(static_cast<uint16_t>(code));
    case formats::CodeKind::kF16:
      return f16_to_float(static_cast<uint16_t>(code));
    case formats::CodeKind::kF32:
      return std::bit_cast<float>(code);
    default:
      return formats::code_values(kind)[code];
  }
}

struct PackedForTests {
  PackedForTests(const TestScheme& scheme, int64_t rows, int64_t cols, uint32_t seed)
      : layout(scheme.of(cols), rows, cols) {
    std::mt19937 random(seed);
    std::vector<uint32_t> list(static_cast<size_t>(rows * cols));
    for (uint32_t& code : list) code = random_code(layout.scheme.codes, random);
    const auto fill = [&](std::vector<float>& to, int64_t columns, formats::ScaleKind kind) {
      if (kind == formats::ScaleKind::kNone) return;
      to.resize(static_cast<size_t>(rows * columns));
      for (float& number : to) number = random_number(kind, random);
    };
    parts.rows = rows;
    fill(parts.scales, layout.groups, layout.scheme.scale);
    fill(parts.minimums, layout.groups, layout.scheme.minimum);
    fill(parts.outer_scales, layout.outer_groups, layout.scheme.outer);
    if (layout.scheme.has_outer_minimum) fill(parts.outer_minimums, layout.outer_groups, layout.scheme.outer);
    if (layout.scheme.has_zeros) {
      parts.zeros.resize(static_cast<size_t>(rows * layout.groups));
      for (float& zero : parts.zeros) zero = static_cast<float>(random() % (1U << layout.code_bits));
    }
    set_codes(list);
  }

  // Takes [rows, cols] codes and packs them.
  void set_codes(std::span<const uint32_t> list) {
    codes.assign(list.begin(), list.end());
    const int64_t bits = layout.plane_inputs > 0 ? 8 : layout.code_bits;
    row_bytes = (layout.cols * bits + 7) / 8;
    parts.codes.assign(static_cast<size_t>(layout.rows * row_bytes), std::byte{0});
    for (int64_t row = 0; row < layout.rows; ++row) {
      for (int64_t k = 0; k < layout.cols; ++k) {
        const uint32_t code = codes[static_cast<size_t>(row * layout.cols + k)];
        std::byte* to = parts.codes.data() + row * row_bytes + k * bits / 8;
        if (bits == 4) {
          *to |= static_cast<std::byte>(code << (k % 2 * 4));
        } else {
          std::memcpy(to, &code, static_cast<size_t>(bits / 8));
        }
      }
    }
    pack();
  }

  uint32_t code(int64_t row, int64_t col) const {
    return codes[static_cast<size_t>(row * layout.cols + col)];
  }
  static float at(const std::vector<float>& numbers, int64_t row, int64_t columns, int64_t column,
                  float absent) {
    return numbers.empty() ? absent : numbers[static_cast<size_t>(row * columns + column)];
  }
  // The factors of an element: value = (code value - zero) * scale + minimum.
  float zero(int64_t row, int64_t col) const {
    return at(parts.zeros, row, layout.groups, col / layout.group_inputs, 0);
  }
  float scale(int64_t row, int64_t col) const {
    const int64_t group = col / layout.group_inputs;
    return at(parts.scales, row, layout.groups, group, 1) *
           at(parts.outer_scales, row, layout.outer_groups, group / layout.groups_per_outer, 1);
  }
  float minimum(int64_t row, int64_t col) const {
    const int64_t group = col / layout.group_inputs;
    return at(parts.minimums, row, layout.groups, group, 0) *
           at(parts.outer_minimums, row, layout.outer_groups, group / layout.groups_per_outer, 1);
  }
  // Rounded once to float32 for each operation of the formula, as decoders do.
  float value(int64_t row, int64_t col) const {
    const float product =
        (code_value(layout.scheme.codes, code(row, col)) - zero(row, col)) * scale(row, col);
    return layout.scheme.minimum == formats::ScaleKind::kNone ? product : product + minimum(row, col);
  }
  // What a sum's rounding error scales with: the parts that an element is made of.
  double magnitude(int64_t row, int64_t col) const {
    const double code_part = std::abs(double{code_value(layout.scheme.codes, code(row, col))});
    return (code_part + zero(row, col)) * std::abs(double{scale(row, col)}) +
           std::abs(double{minimum(row, col)});
  }

  const std::byte* panel(int64_t index) const { return packed.data() + index * layout.panel_bytes; }
  // The sanitizers' view of the packed bytes ends where the matrix does.
  std::unique_ptr<PackedMatrix> matrix() { return std::make_unique<PackedMatrix>(layout, packed.data()); }

  PackedLayout layout;
  std::vector<uint32_t> codes;  // [rows, cols]
  formats::RowParts parts;
  int64_t row_bytes = 0;
  std::vector<std::byte> packed;
  bool is_finite = true;
  const formats::CodeMoves* moves = &formats::portable_moves();

 private:
  void pack() {
    // Not zero beforehand: padding must be written.
    packed.assign(layout.bytes(), std::byte{0x5a});
    is_finite = true;
    for (int64_t panel = 0; panel < layout.panels; ++panel) {
      const int64_t begin = panel * kPanelRows;
      is_finite &= pack_panel(layout,
                              {.parts = &parts,
                               .code_row_bytes = row_bytes,
                               .first = begin,
                               .count = std::min(kPanelRows, layout.rows - begin),
                               .moves = moves},
                              packed.data() + panel * layout.panel_bytes);
    }
  }
};

// Numbers of ordinary size, both signs.
inline std::vector<float> random_floats(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

}  // namespace beryl::backend
