#include "backend/cpu/pack.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "base/number_types.h"

namespace beryl::backend {
namespace {

using formats::CodeKind;
using formats::ScaleKind;

// GCC and clang vector types: SSE2 on x86-64, NEON on AArch64, plain code elsewhere.
using Words = uint32_t __attribute__((vector_size(16)));

constexpr int64_t kTile = 4;

Words load_words(const std::byte* from) {
  Words words;
  std::memcpy(&words, from, sizeof(words));
  return words;
}

void store_words(std::byte* to, Words words) {
  std::memcpy(to, &words, sizeof(words));
}

// The bits that are all set exactly in codes that are infinite or NaN, in every code of a word.
struct NonFinite {
  uint32_t mask;
  // Added to the masked code, carries into the code's sign bit if and only if all bits of the mask are set.
  uint32_t carry;
  uint32_t sign;
};

constexpr NonFinite non_finite(CodeKind kind) {
  switch (kind) {
    case CodeKind::kBf16:
      return {0x7f807f80U, 0x00800080U, 0x80008000U};
    case CodeKind::kF16:
      return {0x7c007c00U, 0x04000400U, 0x80008000U};
    case CodeKind::kF32:
      return {0x7f800000U, 0x00800000U, 0x80000000U};
    case CodeKind::kE4m3:
      return {0x7f7f7f7fU, 0x01010101U, 0x80808080U};
    default:
      return {0, 0, 0};
  }
}

// Words of successive codes, low bits first, to the order of packed_matrix.h. Word is uint32_t or Words.
struct Keep {
  template <typename Word>
  static Word arrange(Word w) {
    return w;
  }
};
struct ArrangeBytes {  // 0 1 2 3 -> 0 2 1 3
  template <typename Word>
  static Word arrange(Word w) {
    return (w & 0xff0000ffU) | (w >> 8 & 0x0000ff00U) | (w << 8 & 0x00ff0000U);
  }
};
struct ArrangeNibbles {  // 0 1 2 3 4 5 6 7 -> 0 2 4 6 1 3 5 7
  template <typename Word>
  static Word arrange(Word w) {
    const Word inner = (w ^ w >> 4) & 0x00f000f0U;
    w ^= inner ^ inner << 4;
    const Word outer = (w ^ w >> 8) & 0x0000ff00U;
    return w ^ outer ^ outer << 8;
  }
};

// Transposes four rows of four words into four lines, each from byte `at` on, and collects the sign bits of
// non-finite codes.
template <typename Arrange>
Words pack_tile(const std::byte* rows, int64_t row_bytes, const NonFinite& bad,
                const std::array<std::byte*, kTile>& lines, int64_t at) {
  const Words a = Arrange::arrange(load_words(rows));
  const Words b = Arrange::arrange(load_words(rows + row_bytes));
  const Words c = Arrange::arrange(load_words(rows + 2 * row_bytes));
  const Words d = Arrange::arrange(load_words(rows + 3 * row_bytes));
  const Words mask = Words{} + bad.mask;
  const Words found = ((a & mask) + bad.carry) | ((b & mask) + bad.carry) | ((c & mask) + bad.carry) |
                      ((d & mask) + bad.carry);
  const Words ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Words ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Words cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Words cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  store_words(lines[0] + at, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
  store_words(lines[1] + at, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
  store_words(lines[2] + at, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
  store_words(lines[3] + at, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
  return found;
}

// Codes of all inputs of some rows, in words of successive codes, and where their lines go.
struct CodeRows {
  const std::byte* rows;  // of the first row
  int64_t row_bytes;      // from one row to the next
  int64_t row_count;
};

// The word of line `line` of a row's `bytes` bytes, of which the last may be cut short.
uint32_t word_of(const std::byte* row, int64_t line, int64_t bytes, uint32_t last_mask) {
  uint32_t word = 0;
  std::memcpy(&word, row + line * 4, static_cast<size_t>(std::min<int64_t>(4, bytes - line * 4)));
  return (line + 1) * 4 >= bytes ? word & last_mask : word;
}

// Packs the code lines of all groups. `Arrange` puts the codes of a word in order. Returns the sign bits of
// non-finite codes, in any word.
template <typename Arrange>
uint32_t pack_lines(const PackedLayout& layout, const CodeRows& from, const NonFinite& bad,
                    std::byte* panel) {
  const int64_t group_bits = layout.group_inputs * layout.code_bits;
  const int64_t lines_per_group = layout.code_lines(layout.group_inputs);
  // Where groups are whole words, tiles of 4 rows x 4 lines run over the borders of groups.
  const bool has_whole_words = layout.groups == 1 || group_bits % 32 == 0;
  const int64_t row_lines = layout.cols * layout.code_bits / 32;  // whole ones
  const int64_t tiled_rows = has_whole_words ? from.row_count / kTile * kTile : 0;
  const int64_t tiled_lines = row_lines / kTile * kTile;
  Words found{};
  int64_t group = 0;
  int64_t line_of_group = 0;
  std::byte* line_to = panel;
  for (int64_t line = 0; line < tiled_lines && tiled_rows > 0; line += kTile) {
    std::array<std::byte*, kTile> to;
    for (std::byte*& one : to) {
      one = line_to;
      line_to += kLineBytes;
      if (++line_of_group < lines_per_group) continue;
      line_of_group = 0;
      line_to = panel + layout.group_offset(++group);
    }
    for (int64_t row = 0; row < tiled_rows; row += kTile) {
      found |=
          pack_tile<Arrange>(from.rows + row * from.row_bytes + line * 4, from.row_bytes, bad, to, row * 4);
    }
  }
  uint32_t found_word = found[0] | found[1] | found[2] | found[3];
  for (group = 0; group < layout.groups; ++group) {
    const int64_t bits = layout.inputs_of(group) * layout.code_bits;
    const int64_t bytes = (bits + 7) / 8;
    const uint32_t last_mask = bits % 32 == 0 ? ~0U : (1U << (bits % 32)) - 1;
    const int64_t first_line = group * lines_per_group;  // of the row, where groups are whole words
    const int64_t done =
        std::clamp<int64_t>(tiled_lines - first_line, 0, layout.code_lines(layout.inputs_of(group)));
    std::byte* const to = panel + layout.group_offset(group);
    for (int64_t row = 0; row < kPanelRows; ++row) {
      const std::byte* codes = from.rows + row * from.row_bytes + group * group_bits / 8;
      for (int64_t line = row < tiled_rows ? done : 0; line < layout.code_lines(layout.inputs_of(group));
           ++line) {
        const uint32_t word =
            row < from.row_count ? Arrange::arrange(word_of(codes, line, bytes, last_mask)) : 0;
        found_word |= (word & bad.mask) + bad.carry;
        std::memcpy(to + line * kLineBytes + row * 4, &word, sizeof(word));
      }
    }
  }
  return found_word & bad.sign;
}

// 5- and 6-bit codes, one a byte: low halves to code lines, high bits to plane lines.
void pack_planes(const PackedLayout& layout, const CodeRows& block, int64_t inputs, std::byte* to) {
  const int64_t code_lines = layout.code_lines(inputs);
  const auto plane_bits = static_cast<uint32_t>(layout.code_bits - 4);
  for (int64_t row = 0; row < kPanelRows; ++row) {
    const std::byte* codes = block.rows + row * block.row_bytes;
    std::array<uint32_t, 2> words{};  // the code word and the plane word being filled
    for (int64_t k = 0; k < inputs; ++k) {
      const uint32_t code = row < block.row_count ? static_cast<uint32_t>(codes[k]) : 0;
      const int64_t half = k % 2 * 16;
      words[0] |= (code & 15U) << (half + k % 8 / 2 * 4);
      words[1] |= code >> 4 << (half + k % layout.plane_inputs / 2 * plane_bits);
      const bool is_last = k + 1 == inputs;
      if (is_last || (k + 1) % 8 == 0) {
        std::memcpy(to + k / 8 * kLineBytes + row * 4, &words[0], 4);
        words[0] = 0;
      }
      if (is_last || (k + 1) % layout.plane_inputs == 0) {
        std::memcpy(to + (code_lines + k / layout.plane_inputs) * kLineBytes + row * 4, &words[1], 4);
        words[1] = 0;
      }
    }
  }
}

// Bits of a number that the kind can hold exactly.
uint32_t stored_bits(ScaleKind kind, float value) {
  switch (kind) {
    case ScaleKind::kNone:
      return 0;
    case ScaleKind::kF32:
      return std::bit_cast<uint32_t>(value);
    case ScaleKind::kBf16:
      return std::bit_cast<uint32_t>(value) >> 16;
    case ScaleKind::kF16:
      return exact_f16_bits(value);
    case ScaleKind::kE4m3:
      return exact_e4m3_bits(value);
    case ScaleKind::kE8m0:
      return std::bit_cast<uint32_t>(value) >> 23;
    case ScaleKind::kU8:
      return static_cast<uint8_t>(value);
    case ScaleKind::kI8:
      return static_cast<uint8_t>(static_cast<int8_t>(value));
  }
  return 0;
}

template <ScaleKind kKind>
std::byte* store_column_as(const std::vector<float>& values, int64_t columns, int64_t column,
                           const PanelRows& rows, std::byte* to) {
  constexpr size_t kBytes = kKind == ScaleKind::kF32                                  ? 4
                            : (kKind == ScaleKind::kBf16 || kKind == ScaleKind::kF16) ? 2
                                                                                      : 1;
  std::memset(to, 0, kBytes * kPanelRows);
  const float* from = values.data() + rows.first * columns + column;
  for (int64_t row = 0; row < rows.count; ++row) {
    const uint32_t bits = stored_bits(kKind, from[row * columns]);
    std::memcpy(to + static_cast<size_t>(row) * kBytes, &bits, kBytes);
  }
  return to + kBytes * kPanelRows;
}

// Writes 16 numbers of one column of `values`, [all rows, columns]; missing rows as zero. Returns the end.
std::byte* store_column(ScaleKind kind, const std::vector<float>& values, int64_t columns, int64_t column,
                        const PanelRows& rows, std::byte* to) {
  switch (kind) {
    case ScaleKind::kNone:
      return to;
    case ScaleKind::kF32:
      return store_column_as<ScaleKind::kF32>(values, columns, column, rows, to);
    case ScaleKind::kBf16:
      return store_column_as<ScaleKind::kBf16>(values, columns, column, rows, to);
    case ScaleKind::kF16:
      return store_column_as<ScaleKind::kF16>(values, columns, column, rows, to);
    case ScaleKind::kE4m3:
      return store_column_as<ScaleKind::kE4m3>(values, columns, column, rows, to);
    case ScaleKind::kE8m0:
      return store_column_as<ScaleKind::kE8m0>(values, columns, column, rows, to);
    case ScaleKind::kU8:
      return store_column_as<ScaleKind::kU8>(values, columns, column, rows, to);
    case ScaleKind::kI8:
      return store_column_as<ScaleKind::kI8>(values, columns, column, rows, to);
  }
  return to;
}

void store_outer(const PackedLayout& layout, const PanelRows& rows, int64_t outer, std::byte* panel) {
  const ScaleKind kind = layout.scheme.outer;
  std::byte* to = panel + layout.outer_offset(outer);
  const formats::RowParts& parts = *rows.parts;
  if (rows.outer_divides) {
    std::array<float, kPanelRows> factors{};
    for (int64_t row = 0; row < rows.count; ++row) {
      const auto index = static_cast<size_t>((rows.first + row) * layout.outer_groups + outer);
      factors[static_cast<size_t>(row)] = 1.0F / parts.outer_scales[index];
    }
    std::memcpy(to, factors.data(), sizeof(factors));
    return;
  }
  to = store_column(kind, parts.outer_scales, layout.outer_groups, outer, rows, to);
  if (layout.scheme.has_outer_minimum) {
    store_column(kind, parts.outer_minimums, layout.outer_groups, outer, rows, to);
  }
}

uint32_t pack_codes(const PackedLayout& layout, const PanelRows& rows, std::byte* panel) {
  const CodeRows from{.rows = rows.parts->codes.data() + rows.first * rows.code_row_bytes,
                      .row_bytes = rows.code_row_bytes,
                      .row_count = rows.count};
  const NonFinite bad = non_finite(layout.scheme.codes);
  if (layout.plane_inputs > 0) {
    for (int64_t group = 0; group < layout.groups; ++group) {
      CodeRows part = from;
      part.rows += group * layout.group_inputs;  // one byte a code
      pack_planes(layout, part, layout.inputs_of(group), panel + layout.group_offset(group));
    }
    return 0;
  }
  if (layout.code_bits == 4) return pack_lines<ArrangeNibbles>(layout, from, bad, panel);
  if (layout.code_bits == 8) return pack_lines<ArrangeBytes>(layout, from, bad, panel);
  return pack_lines<Keep>(layout, from, bad, panel);
}

void pack_numbers(const PackedLayout& layout, const PanelRows& rows, int64_t group, std::byte* panel) {
  std::byte* to = panel + layout.group_offset(group) + layout.line_bytes(layout.inputs_of(group));
  const formats::RowParts& parts = *rows.parts;
  const formats::Scheme& scheme = layout.scheme;
  if (scheme.scale != ScaleKind::kNone) {
    to = store_column(scheme.scale, parts.scales, layout.groups, group, rows, to);
  }
  if (scheme.has_zeros) to = store_column(ScaleKind::kU8, parts.zeros, layout.groups, group, rows, to);
  if (scheme.minimum != ScaleKind::kNone) {
    store_column(scheme.minimum, parts.minimums, layout.groups, group, rows, to);
  }
}

}  // namespace

bool pack_panel(const PackedLayout& layout, const PanelRows& rows, std::byte* panel) {
  BERYL_CHECK(rows.count >= 1 && rows.count <= kPanelRows);
  const uint32_t found = pack_codes(layout, rows, panel);
  for (int64_t group = 0; group < layout.groups; ++group) pack_numbers(layout, rows, group, panel);
  for (int64_t outer = 0; outer < layout.outer_groups; ++outer) store_outer(layout, rows, outer, panel);
  return found == 0;
}

std::vector<int32_t> order_by_group(std::span<const int32_t> group_index) {
  std::vector<int32_t> order(group_index.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return std::pair(group_index[static_cast<size_t>(a)], a) <
           std::pair(group_index[static_cast<size_t>(b)], b);
  });
  return order;
}

void reorder_inputs(const PackedLayout& layout, int64_t code_row_bytes, std::span<const int32_t> order,
                    formats::RowParts& parts, std::vector<std::byte>& scratch) {
  BERYL_CHECK(layout.code_bits == 4 || layout.code_bits == 8);
  const int shift = layout.code_bits == 4 ? 1 : 0;
  scratch.assign(static_cast<size_t>(code_row_bytes), std::byte{0});
  for (int64_t row = 0; row < parts.rows; ++row) {
    std::byte* codes = parts.codes.data() + row * code_row_bytes;
    std::copy_n(codes, code_row_bytes, scratch.begin());
    std::fill_n(codes, code_row_bytes, std::byte{0});
    for (size_t i = 0; i < order.size(); ++i) {
      const auto from = static_cast<size_t>(order[i]);
      const std::byte code = shift == 0 ? scratch[from] : scratch[from / 2] >> (from % 2 * 4) & std::byte{15};
      codes[i >> shift] |= shift == 0 ? code : code << (i % 2 * 4);
    }
  }
}

}  // namespace beryl::backend
