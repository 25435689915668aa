#include "backend/cpu/pack_numbers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "base/number_types.h"
#include "formats/word_tiles.h"

namespace beryl::backend {
namespace {

using formats::kTile;
using formats::load_words;
using formats::ScaleKind;
using formats::store_words;

// The numbers of all rows of a panel for one group.
using Column = std::array<float, kPanelRows>;

// As exact_f16_bits() and exact_e4m3_bits(), bit for bit, but without branches. `kBias` is what the exponents
// are less by, `kMantissaBits` what is left of the mantissa.
template <uint32_t kBias, uint32_t kMantissaBits>
uint32_t narrow(float value) {
  constexpr uint32_t kDropped = 23 - kMantissaBits;
  // A number whose last bit has the weight of the smallest subnormal's.
  constexpr uint32_t kUnit = (kBias + 1 + kDropped) << 23;
  const uint32_t magnitude = std::bit_cast<uint32_t>(value) & 0x7fffffffU;
  const uint32_t normal = (magnitude - (kBias << 23)) >> kDropped;
  const float aligned = std::bit_cast<float>(magnitude) + std::bit_cast<float>(kUnit);
  const uint32_t subnormal = std::bit_cast<uint32_t>(aligned) - kUnit;
  return magnitude < (kBias + 1) << 23 ? subnormal : normal;
}

// Bits of a number that the kind can hold exactly.
template <ScaleKind kKind>
auto stored_bits(float value) {
  if constexpr (kKind == ScaleKind::kBf16) {
    return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  } else if constexpr (kKind == ScaleKind::kF16) {
    return static_cast<uint16_t>(narrow<112, 10>(value) | (std::bit_cast<uint32_t>(value) >> 16 & 0x8000U));
  } else if constexpr (kKind == ScaleKind::kE4m3) {
    return static_cast<uint8_t>(narrow<120, 3>(value) | (std::bit_cast<uint32_t>(value) >> 24 & 0x80U));
  } else if constexpr (kKind == ScaleKind::kE8m0) {
    return static_cast<uint8_t>(std::bit_cast<uint32_t>(value) >> 23);
  } else if constexpr (kKind == ScaleKind::kU8 || kKind == ScaleKind::kI8) {
    return static_cast<uint8_t>(static_cast<int32_t>(value));
  } else {
    return value;
  }
}

template <ScaleKind kKind>
void store_column(const Column& column, std::byte* to) {
  std::array<decltype(stored_bits<kKind>(0)), kPanelRows> bits;
  for (size_t row = 0; row < column.size(); ++row) bits[row] = stored_bits<kKind>(column[row]);
  std::memcpy(to, bits.data(), sizeof(bits));
}

// Numbers of the rows of a panel, [rows, columns].
struct Numbers {
  const float* first;
  int64_t rows;
  int64_t columns;
};

// Columns `first` to `first + 3` of full panels; fewer at the end, and rows that are not there as zero.
void take_columns(const Numbers& numbers, int64_t first, std::array<Column, kTile>& columns) {
  const int64_t count = std::min(kTile, numbers.columns - first);
  const float* from = numbers.first + first;
  if (count == kTile && numbers.rows == kPanelRows) {
    for (int64_t row = 0; row < kPanelRows; row += kTile, from += kTile * numbers.columns) {
      const auto turned = formats::transpose_words(load_words(from), load_words(from + numbers.columns),
                                                   load_words(from + 2 * numbers.columns),
                                                   load_words(from + 3 * numbers.columns));
      for (size_t i = 0; i < turned.size(); ++i) store_words(columns[i].data() + row, turned[i]);
    }
    return;
  }
  columns = {};
  for (int64_t row = 0; row < numbers.rows; ++row) {
    for (int64_t i = 0; i < count; ++i) {
      columns[static_cast<size_t>(i)][static_cast<size_t>(row)] = from[row * numbers.columns + i];
    }
  }
}

// Stores each column of `numbers` at the place that `place` gives for it.
template <ScaleKind kKind, typename Place>
void store_columns_as(const Numbers& numbers, const Place& place) {
  std::array<Column, kTile> columns;
  for (int64_t first = 0; first < numbers.columns; first += kTile) {
    take_columns(numbers, first, columns);
    const int64_t count = std::min(kTile, numbers.columns - first);
    for (int64_t i = 0; i < count; ++i) {
      store_column<kKind>(columns[static_cast<size_t>(i)], place(first + i));
    }
  }
}

template <typename Place>
void store_columns(ScaleKind kind, const Numbers& numbers, const Place& place) {
  switch (kind) {
    case ScaleKind::kNone:
      return;
    case ScaleKind::kF32:
      return store_columns_as<ScaleKind::kF32>(numbers, place);
    case ScaleKind::kBf16:
      return store_columns_as<ScaleKind::kBf16>(numbers, place);
    case ScaleKind::kF16:
      return store_columns_as<ScaleKind::kF16>(numbers, place);
    case ScaleKind::kE4m3:
      return store_columns_as<ScaleKind::kE4m3>(numbers, place);
    case ScaleKind::kE8m0:
      return store_columns_as<ScaleKind::kE8m0>(numbers, place);
    case ScaleKind::kU8:
      return store_columns_as<ScaleKind::kU8>(numbers, place);
    case ScaleKind::kI8:
      return store_columns_as<ScaleKind::kI8>(numbers, place);
  }
}

// A square of bytes, [16 rows, 16 columns], turned over.
void turn_bytes(std::array<formats::Words, kPanelRows>& square) {
  for (size_t i = 0; i < kTile; ++i) {
    // Column quads of rows i, 4 + i, 8 + i and 12 + i, one quad a row.
    const auto turned = formats::transpose_words(square[i], square[4 + i], square[8 + i], square[12 + i]);
    for (size_t quad = 0; quad < kTile; ++quad) square[4 * quad + i] = turned[quad];
  }
  for (size_t quad = 0; quad < kTile; ++quad) {
    std::array<formats::Words, kTile> words;
    for (size_t i = 0; i < kTile; ++i) words[i] = square[4 * quad + i];
    formats::transpose_codes<8>(words);
    for (size_t i = 0; i < kTile; ++i) square[4 * quad + i] = words[i];
  }
}

// Bytes of the rows of a panel, [rows, columns], each column to the place that `place` gives for it.
template <typename Place>
void store_byte_columns(const std::byte* first, int64_t rows, int64_t columns, const Place& place) {
  constexpr int64_t kSquare = kPanelRows;
  for (int64_t column = 0; column < columns; column += kSquare) {
    // The last square may overlap the one before it.
    if (columns > kSquare) column = std::min(column, columns - kSquare);
    const int64_t count = std::min(kSquare, columns - column);
    std::array<formats::Words, kPanelRows> square{};
    for (int64_t row = 0; row < rows; ++row) {
      const std::byte* from = first + row * columns + column;
      if (count == kSquare) {
        square[static_cast<size_t>(row)] = load_words(from);
      } else {
        std::memcpy(&square[static_cast<size_t>(row)], from, static_cast<size_t>(count));
      }
    }
    turn_bytes(square);
    for (int64_t i = 0; i < count; ++i) store_words(place(column + i), square[static_cast<size_t>(i)]);
  }
}

Numbers of_panel(const std::vector<float>& values, const PanelRows& rows, int64_t columns) {
  const float* first = values.empty() ? nullptr : values.data() + rows.first * columns;
  return {.first = first, .rows = rows.count, .columns = columns};
}

// Where the numbers of each group begin in a panel.
std::vector<int64_t> number_offsets(const PackedLayout& layout) {
  std::vector<int64_t> offsets(static_cast<size_t>(layout.groups));
  int64_t next = layout.line_bytes(layout.group_inputs);
  int64_t left = layout.groups_per_outer;
  for (int64_t& offset : offsets) {
    offset = next;
    next += layout.group_bytes;
    if (--left > 0) continue;
    next += layout.outer_bytes;
    left = layout.groups_per_outer;
  }
  // The last group may be short.
  const int64_t last = layout.groups - 1;
  offsets.back() = layout.group_offset(last) + layout.line_bytes(layout.inputs_of(last));
  return offsets;
}

void pack_inner(const PackedLayout& layout, const PanelRows& rows, std::byte* panel) {
  const formats::RowParts& parts = *rows.parts;
  const formats::Scheme& scheme = layout.scheme;
  const std::vector<int64_t> offsets = number_offsets(layout);
  int64_t skipped = 0;
  const auto place = [&](int64_t group) { return panel + offsets[static_cast<size_t>(group)] + skipped; };
  const bool are_bytes = rows.shape != formats::CodeShape::kBytes && !parts.scale_bytes.empty();
  if (are_bytes) {
    store_byte_columns(parts.scale_bytes.data() + rows.first * layout.groups, rows.count, layout.groups,
                       place);
  } else {
    store_columns(scheme.scale, of_panel(parts.scales, rows, layout.groups), place);
  }
  skipped = layout.scales_bytes();
  if (scheme.has_zeros) store_columns(ScaleKind::kU8, of_panel(parts.zeros, rows, layout.groups), place);
  skipped += layout.zeros_bytes();
  if (are_bytes && !parts.minimum_bytes.empty()) {
    store_byte_columns(parts.minimum_bytes.data() + rows.first * layout.groups, rows.count, layout.groups,
                       place);
    return;
  }
  store_columns(scheme.minimum, of_panel(parts.minimums, rows, layout.groups), place);
}

void pack_outer(const PackedLayout& layout, const PanelRows& rows, std::byte* panel) {
  const formats::RowParts& parts = *rows.parts;
  const ScaleKind kind = layout.scheme.outer;
  int64_t skipped = 0;
  const auto place = [&](int64_t outer) { return panel + layout.outer_offset(outer) + skipped; };
  if (rows.outer_divides) {
    std::vector<float> factors(static_cast<size_t>(rows.count * layout.outer_groups));
    const float* divisors = parts.outer_scales.data() + rows.first * layout.outer_groups;
    for (size_t i = 0; i < factors.size(); ++i) factors[i] = 1.0F / divisors[i];
    store_columns(kind, {factors.data(), rows.count, layout.outer_groups}, place);
    return;
  }
  store_columns(kind, of_panel(parts.outer_scales, rows, layout.outer_groups), place);
  if (!layout.scheme.has_outer_minimum) return;
  skipped = kPanelRows * formats::scale_bytes(kind);
  store_columns(kind, of_panel(parts.outer_minimums, rows, layout.outer_groups), place);
}

}  // namespace

void pack_numbers(const PackedLayout& layout, const PanelRows& rows, std::byte* panel) {
  if (layout.groups > 0) pack_inner(layout, rows, panel);
  if (layout.scheme.outer != ScaleKind::kNone) pack_outer(layout, rows, panel);
}

}  // namespace beryl::backend
