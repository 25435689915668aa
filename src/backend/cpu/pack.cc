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

// Transposes four rows of four words into four lines, and collects the sign bits of non-finite codes.
template <typename Arrange>
Words pack_tile(const std::byte* rows, int64_t row_bytes, const NonFinite& bad, std::byte* lines) {
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
  store_words(lines, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
  store_words(lines + kLineBytes, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
  store_words(lines + 2 * kLineBytes, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
  store_words(lines + 3 * kLineBytes, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
  return found;
}

// The codes of some inputs of the rows, which begin at a whole byte, as code lines.
struct CodeBlock {
  const std::byte* rows;  // of the first row
  int64_t row_bytes;      // from one row to the next
  int64_t row_count;
  int64_t bytes;  // of one row's codes in this block
  int64_t lines;
  uint32_t last_mask;  // what belongs to the last word
};

// Returns the sign bits of non-finite codes, in any word.
template <typename Arrange>
uint32_t pack_words(const CodeBlock& block, const NonFinite& bad, std::byte* to) {
  // Whole tiles of 4 rows x 4 words; what remains at the right and bottom edges goes word by word.
  const int64_t tiled_rows = block.row_count / kTile * kTile;
  const int64_t tiled_lines = (block.last_mask == ~0U ? block.bytes : block.bytes - 4) / (4 * kTile) * kTile;
  Words found{};
  for (int64_t line = 0; line < tiled_lines; line += kTile) {
    for (int64_t row = 0; row < tiled_rows; row += kTile) {
      found |= pack_tile<Arrange>(block.rows + row * block.row_bytes + line * 4, block.row_bytes, bad,
                                  to + line * kLineBytes + row * 4);
    }
  }
  uint32_t found_word = found[0] | found[1] | found[2] | found[3];
  for (int64_t row = 0; row < kPanelRows; ++row) {
    for (int64_t line = row < tiled_rows ? tiled_lines : 0; line < block.lines; ++line) {
      uint32_t word = 0;
      if (row < block.row_count) {
        const int64_t bytes = std::min<int64_t>(4, block.bytes - line * 4);
        std::memcpy(&word, block.rows + row * block.row_bytes + line * 4, static_cast<size_t>(bytes));
        if (line + 1 == block.lines) word &= block.last_mask;
      }
      word = Arrange::arrange(word);
      found_word |= (word & bad.mask) + bad.carry;
      std::memcpy(to + line * kLineBytes + row * 4, &word, sizeof(word));
    }
  }
  return found_word & bad.sign;
}

// 5- and 6-bit codes, one a byte: low halves to code lines, high bits to plane lines.
void pack_planes(const PackedLayout& layout, const CodeBlock& block, int64_t inputs, std::byte* to) {
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

// Writes 16 numbers of one column of `values`, [all rows, columns]; missing rows as zero. Returns the end.
std::byte* store_column(ScaleKind kind, const std::vector<float>& values, int64_t columns, int64_t column,
                        const PanelRows& rows, std::byte* to) {
  const auto bytes = static_cast<size_t>(formats::scale_bytes(kind));
  std::memset(to, 0, bytes * kPanelRows);
  for (int64_t row = 0; row < rows.count; ++row) {
    const uint32_t bits =
        stored_bits(kind, values[static_cast<size_t>((rows.first + row) * columns + column)]);
    std::memcpy(to + row * static_cast<int64_t>(bytes), &bits, bytes);
  }
  return to + bytes * kPanelRows;
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

uint32_t pack_group(const PackedLayout& layout, const PanelRows& rows, int64_t group, std::byte* to) {
  const int64_t inputs = layout.inputs_of(group);
  const int64_t stored_bits = layout.plane_inputs > 0 ? 8 : layout.code_bits;  // of a code in RowParts
  const int64_t first_bit = group * layout.group_inputs * stored_bits;
  BERYL_CHECK(first_bit % 8 == 0);
  const int64_t bits = inputs * stored_bits;
  const CodeBlock block{.rows = rows.parts->codes.data() + rows.first * rows.code_row_bytes + first_bit / 8,
                        .row_bytes = rows.code_row_bytes,
                        .row_count = rows.count,
                        .bytes = (bits + 7) / 8,
                        .lines = layout.code_lines(inputs),
                        .last_mask = bits % 32 == 0 ? ~0U : (1U << (bits % 32)) - 1};
  const NonFinite bad = non_finite(layout.scheme.codes);
  uint32_t found = 0;
  if (layout.plane_inputs > 0) {
    pack_planes(layout, block, inputs, to);
  } else if (layout.code_bits == 4) {
    found = pack_words<ArrangeNibbles>(block, bad, to);
  } else if (layout.code_bits == 8) {
    found = pack_words<ArrangeBytes>(block, bad, to);
  } else {
    found = pack_words<Keep>(block, bad, to);
  }
  to += layout.line_bytes(inputs);
  const formats::RowParts& parts = *rows.parts;
  const formats::Scheme& scheme = layout.scheme;
  if (scheme.scale != ScaleKind::kNone) {
    to = store_column(scheme.scale, parts.scales, layout.groups, group, rows, to);
  }
  if (scheme.has_zeros) to = store_column(ScaleKind::kU8, parts.zeros, layout.groups, group, rows, to);
  if (scheme.minimum != ScaleKind::kNone) {
    store_column(scheme.minimum, parts.minimums, layout.groups, group, rows, to);
  }
  return found;
}

}  // namespace

bool pack_panel(const PackedLayout& layout, const PanelRows& rows, std::byte* panel) {
  BERYL_CHECK(rows.count >= 1 && rows.count <= kPanelRows);
  uint32_t found = 0;
  for (int64_t group = 0; group < layout.groups; ++group) {
    found |= pack_group(layout, rows, group, panel + layout.group_offset(group));
  }
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
