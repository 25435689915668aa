#include "formats/row_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "base/number_types.h"
#include "formats/decoder.h"
#include "formats/ggml_blocks.h"
#include "formats/integer.h"
#include "formats/nf4.h"
#include "formats/plain.h"
#include "formats/planes.h"
#include "formats/ranges.h"

namespace beryl::formats {
namespace {

constexpr std::string_view kDamaged =
    "the checkpoint is damaged or its producer left the scale uninitialised; download it again, or report it "
    "to "
    "its publisher";

constexpr std::array<float, 256> kE8m0Values = [] {
  std::array<float, 256> values{};
  for (size_t i = 0; i < 256; ++i) values[i] = e8m0_to_float(static_cast<uint8_t>(i));
  return values;
}();

std::vector<int32_t> read_words(const ElementRange& elements) {
  std::vector<int32_t> words(elements.range.bytes / sizeof(int32_t));
  elements.range.file->read(elements.range.offset, std::as_writable_bytes(std::span(words)));
  return words;
}

// What the numbers of a scale tensor stand for.
void decode_numbers(DType dtype, ScaleKind kind, std::span<const std::byte> bytes, std::span<float> out) {
  if (dtype_bits(dtype) != 8) return decode_plain(dtype, bytes, out);
  std::span<const float> values = code_values(CodeKind::kU8);
  if (kind == ScaleKind::kE8m0) values = kE8m0Values;
  if (kind == ScaleKind::kE4m3) values = kE4m3Values;
  for (size_t i = 0; i < out.size(); ++i) out[i] = values[static_cast<uint8_t>(bytes[i])];
}

// The same from the file; `staging` is for reuse.
void read_numbers(const ElementRange& elements, ScaleKind kind, std::vector<std::byte>& staging,
                  std::span<float> out) {
  BERYL_CHECK(static_cast<int64_t>(out.size()) == elements.count());
  staging.resize(elements.range.bytes);
  elements.range.file->read(elements.range.offset, staging);
  decode_numbers(elements.dtype, kind, staging, out);
}

// The group of each input, or nothing when it is k / group size.
std::vector<int32_t> read_group_index(const ElementRange& elements, int64_t groups, int64_t group_size) {
  std::vector<int32_t> index = read_words(elements);
  if (std::all_of(index.begin(), index.end(), [](int32_t group) { return group == -1; })) return {};
  std::vector<int64_t> members(static_cast<size_t>(groups));
  bool is_trivial = true;
  for (size_t k = 0; k < index.size(); ++k) {
    if (index[k] < 0 || index[k] >= groups) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("group index {} of input {} is outside 0 ... {}", index[k], k, groups - 1));
    }
    ++members[static_cast<size_t>(index[k])];
    is_trivial &= index[k] == static_cast<int64_t>(k) / group_size;
  }
  const auto cols = static_cast<int64_t>(index.size());
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t expected = std::min(group_size, cols - group * group_size);
    if (members[static_cast<size_t>(group)] == expected) continue;
    throw Error(ErrorCode::kInvalidInput, fmt::format("group {} has {} inputs, expected {}", group,
                                                      members[static_cast<size_t>(group)], expected));
  }
  return is_trivial ? std::vector<int32_t>() : index;
}

float read_global_scale(const QuantMatrix& matrix) {
  const float global = read_floats(*matrix.global_scale).at(0);
  if (!std::isfinite(global) || global <= 0) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("global scale is {}, expected a finite positive number", global),
                std::string(kDamaged));
  }
  // A divisor is near 2688 / the largest weight, a factor near its inverse. Exactly 1 is what a producer
  // writes for a tensor of zeros.
  if (matrix.global_scale_divides ? global < 1 : global > 1) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("global scale is {}, which is {} 1: it is stored the wrong way round", global,
                    matrix.global_scale_divides ? "below" : "above"),
        "the checkpoint was converted without taking the reciprocal of its global scales; get it from "
        "another source, or report it to its publisher");
  }
  return global;
}

void check_nf4_table(const QuantMatrix& matrix) {
  if (!matrix.nf4_table) return;
  const std::vector<float> table = read_floats(*matrix.nf4_table);
  if (std::equal(table.begin(), table.end(), kNf4Values.begin(), kNf4Values.end())) return;
  throw Error(ErrorCode::kUnsupported, "the table of code values is not that of NF4");
}

}  // namespace

void RowReader::turn_to(const QuantMatrix& matrix) {
  matrix_ = &matrix;
  scheme_ = scheme_of(matrix);
  groups_ = scheme_.group > 0 ? ceil_div(matrix.cols, scheme_.group) : 0;
  outer_groups_ = scheme_.outer_group > 0 ? ceil_div(matrix.cols, scheme_.outer_group) : 0;
  global_scale_ = matrix.global_scale ? read_global_scale(matrix) : 1;
  group_index_.clear();
  if (matrix.group_index) {
    const int64_t group_size = scheme_.group > 0 ? scheme_.group : matrix.cols;
    group_index_ = read_group_index(*matrix.group_index, std::max<int64_t>(1, groups_), group_size);
  }
  check_nf4_table(matrix);
  if (matrix.nested_scales) {
    nested_map_ = read_floats(matrix.nested_scales->map);
    nested_scales_ = read_floats(matrix.nested_scales->scales);
  }
}

int64_t RowReader::code_row_bytes(CodeShape shape) const {
  const int bits = code_bits(scheme_.codes);
  if (shape == CodeShape::kPlanes && (bits == 5 || bits == 6))
    return plane_row_bytes(matrix_->cols, bits - 4);
  if (bits == 4) return ceil_div(matrix_->cols, 2);
  return matrix_->cols * std::max(1, bits / 8);
}

void RowReader::read(int64_t first_row, int64_t count, RowParts& out, CodeShape shape) {
  BERYL_CHECK(first_row >= 0 && count >= 0 && first_row + count <= matrix_->rows);
  out.rows = count;
  const auto groups = static_cast<size_t>(count * groups_);
  const auto outer_groups = static_cast<size_t>(count * outer_groups_);
  const int64_t code_bytes =
      shape == CodeShape::kColumns ? words_of_row() * column_bytes(count) : count * code_row_bytes(shape);
  out.codes.resize(static_cast<size_t>(code_bytes));
  const bool keeps_bytes = keeps_scale_bytes(shape);
  out.scales.resize(scheme_.scale == ScaleKind::kNone || keeps_bytes ? 0 : groups);
  out.scale_bytes.resize(keeps_bytes ? groups : 0);
  const bool has_minimums = scheme_.minimum != ScaleKind::kNone;
  out.zeros.resize(scheme_.has_zeros ? groups : 0);
  out.minimums.resize(has_minimums && !keeps_bytes ? groups : 0);
  out.minimum_bytes.resize(has_minimums && keeps_bytes ? groups : 0);
  out.outer_scales.resize(scheme_.outer == ScaleKind::kNone ? 0 : outer_groups);
  out.outer_minimums.resize(scheme_.has_outer_minimum ? outer_groups : 0);
  if (is_block_format(matrix_->format)) {
    read_blocks(first_row, count, out, shape);
  } else {
    read_codes(first_row, count, out.codes, shape);
    if (keeps_bytes) {
      read_scale_bytes(first_row, count, out);
    } else if (matrix_->scales) {
      std::vector<float>& to = scheme_.scale == ScaleKind::kNone ? out.outer_scales : out.scales;
      read_tiles(*matrix_->scales, first_row, count, to);
    }
    if (matrix_->minimums) read_tiles(*matrix_->minimums, first_row, count, out.minimums);
    if (matrix_->zeros) read_zeros(*matrix_->zeros, first_row, count, out.zeros);
    if (matrix_->global_scale) std::fill(out.outer_scales.begin(), out.outer_scales.end(), global_scale_);
  }
  check(first_row, out);
}

// ---- Scales ----

bool RowReader::keeps_scale_bytes(CodeShape shape) const {
  if (shape == CodeShape::kBytes || scale_bytes(scheme_.scale) != 1) return false;
  if (is_block_format(matrix_->format)) return true;
  const TileValues& tiles = *matrix_->scales;
  return tiles.order == TileOrder::kRows && tiles.tile_rows == 1 && dtype_bits(tiles.values.dtype) == 8 &&
         !matrix_->minimums;
}

void RowReader::read_scale_bytes(int64_t first_row, int64_t count, RowParts& out) {
  const TileValues& tiles = *matrix_->scales;
  const FileRange range = slice(tiles.values, (tiles.first_row + first_row) * groups_, count * groups_).range;
  range.file->read(range.offset, out.scale_bytes);
  // E8M0 has one NaN and no sign.
  const bool is_e4m3 = scheme_.scale == ScaleKind::kE4m3;
  const std::byte magnitude = is_e4m3 ? std::byte{0x7f} : std::byte{0xff};
  const std::byte most = is_e4m3 && !matrix_->may_have_negative_scales ? std::byte{0x80} : std::byte{0xff};
  bool are_good = true;
  for (const std::byte code : out.scale_bytes) are_good &= (code & magnitude) != magnitude && code <= most;
  if (are_good) return;
  // Numbers, of which check() finds the bad one.
  out.scales.resize(out.scale_bytes.size());
  decode_numbers(tiles.values.dtype, scheme_.scale, out.scale_bytes, out.scales);
}

void RowReader::read_tiles(const TileValues& tiles, int64_t first_row, int64_t count,
                           std::vector<float>& out) {
  if (tiles.order == TileOrder::kFlat) return read_flat_tiles(tiles, first_row, count, out);
  const auto across = static_cast<int64_t>(out.size()) / std::max<int64_t>(1, count);
  const int64_t first = (tiles.first_row + first_row) / tiles.tile_rows;
  const int64_t down = ceil_div(tiles.first_row + first_row + count, tiles.tile_rows) - first;
  const auto row_of = [&](int64_t row) {
    return (tiles.first_row + first_row + row) / tiles.tile_rows - first;
  };
  std::vector<float>& grid = numbers_;
  if (tiles.order == TileOrder::kRows) {
    const ElementRange part = slice(tiles.values, first * across, down * across);
    if (tiles.tile_rows == 1) return read_numbers(part, scheme_.scale, staging_, out);
    grid.resize(static_cast<size_t>(down * across));
    read_numbers(part, scheme_.scale, staging_, grid);
    for (int64_t row = 0; row < count; ++row) {
      std::copy_n(grid.begin() + row_of(row) * across, across, out.begin() + row * across);
    }
    return;
  }
  // Column after column.
  grid.resize(static_cast<size_t>(down * across));
  staging_.resize(grid.size() * static_cast<size_t>(dtype_bits(tiles.values.dtype) / 8));
  read_lines(tiles.values, {.lines = across, .first = first, .count = down}, staging_);
  decode_numbers(tiles.values.dtype, scheme_.scale, staging_, grid);
  const float* from = grid.data();
  for (int64_t row = 0; row < count; ++row) {
    const float* number = from + row_of(row);
    float* to = out.data() + row * across;
    for (int64_t column = 0; column < across; ++column) to[column] = number[column * down];
  }
}

void RowReader::read_flat_tiles(const TileValues& tiles, int64_t first_row, int64_t count,
                                std::vector<float>& out) {
  const int64_t begin = (tiles.first_row + first_row) * matrix_->cols;
  const int64_t first = begin / tiles.tile_cols;
  const int64_t last = (begin + count * matrix_->cols - 1) / tiles.tile_cols;
  // Where tiles begin with rows they are the groups.
  const bool are_groups = scheme_.group == tiles.tile_cols && begin % tiles.tile_cols == 0;
  std::vector<float>& scales = are_groups ? out : numbers_;
  scales.resize(static_cast<size_t>(last - first + 1));
  read_numbers(slice(tiles.values, first, last - first + 1), ScaleKind::kU8, staging_, scales);
  if (matrix_->nested_scales) widen_nested(first, scales);
  if (are_groups) return;
  for (int64_t i = 0; i < count * groups_; ++i) {
    const int64_t element = begin + i / groups_ * matrix_->cols + i % groups_ * scheme_.group;
    out[static_cast<size_t>(i)] = scales[static_cast<size_t>(element / tiles.tile_cols - first)];
  }
}

void RowReader::widen_nested(int64_t first, std::span<float> scales) const {
  const NestedScales& nested = *matrix_->nested_scales;
  const float* map = nested_map_.data();
  for (size_t i = 0; i < scales.size();) {
    const int64_t index = first + static_cast<int64_t>(i);
    const float factor = nested_scales_[static_cast<size_t>(index / nested.block)];
    const size_t end = std::min(scales.size(), i + static_cast<size_t>(nested.block - index % nested.block));
    for (; i < end; ++i) {
      const float product = map[static_cast<int32_t>(scales[i])] * factor;
      scales[i] = product + nested.offset;
    }
  }
}

void RowReader::read_zeros(const ZeroPoints& zeros, int64_t first_row, int64_t count,
                           std::vector<float>& out) {
  const int bits = code_bits(scheme_.codes);
  const int64_t per_word = 32 / bits;
  const uint32_t mask = (1U << bits) - 1;
  const int64_t first = zeros.first_row + first_row;
  const int64_t first_word = first / per_word;
  const int64_t word_count = ceil_div(first + count, per_word) - first_word;
  const int64_t words_down = zeros.words.count() / groups_;
  const bool is_down = zeros.order == ZeroPoints::Order::kDownRows;
  // By words of successive rows, [words, groups] or [groups, words].
  words_.resize(static_cast<size_t>(word_count * groups_));
  const StridedLines place = is_down
                                 ? StridedLines{.lines = word_count, .first = 0, .count = groups_}
                                 : StridedLines{.lines = groups_, .first = first_word, .count = word_count};
  const ElementRange from =
      is_down ? slice(zeros.words, first_word * groups_, word_count * groups_) : zeros.words;
  BERYL_CHECK(is_down || words_down * groups_ == zeros.words.count());
  read_lines(from, place, std::as_writable_bytes(std::span(words_)));
  const int64_t group_step = is_down ? 1 : word_count;
  uint32_t largest = 0;
  for (int64_t row = 0; row < count; ++row) {
    const int64_t word = (first + row) / per_word - first_word;
    const int64_t place_in_word = (first + row) % per_word;
    const int64_t nibble =
        zeros.order == ZeroPoints::Order::kAwqInterleaved ? kAwqNibble[place_in_word] : place_in_word;
    const auto shift = static_cast<uint32_t>(nibble * bits);
    const auto added = static_cast<uint32_t>(zeros.added);
    const uint32_t* stored = words_.data() + (is_down ? word * groups_ : word);
    float* to = out.data() + row * groups_;
    for (int64_t group = 0; group < groups_; ++group) {
      const uint32_t zero = (stored[group * group_step] >> shift & mask) + added;
      largest = std::max(largest, zero);
      to[group] = static_cast<float>(static_cast<int32_t>(zero));
    }
  }
  if (largest > mask) fail_zero(first_row, mask, out);
}

void RowReader::fail_zero(int64_t first_row, uint32_t mask, std::span<const float> zeros) const {
  const auto at =
      std::find_if(zeros.begin(), zeros.end(), [&](float zero) { return zero > static_cast<float>(mask); }) -
      zeros.begin();
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("zero point of row {} group {} is stored as {}, which readers of this format "
                          "take for {} or for 0",
                          first_row + at / groups_, at % groups_, mask, mask + 1),
              "quantise the model again in format gptq_v2, or symmetrically");
}

// ---- Checks ----

void RowReader::check(int64_t first_row, const RowParts& parts) const {
  const bool may_be_negative = matrix_->may_have_negative_scales || is_block_format(matrix_->format);
  const auto check_all = [&](const std::vector<float>& values, std::string_view what, bool may_be_less) {
    // Without a branch, so that the usual case is quick.
    const float least = may_be_less ? std::numeric_limits<float>::lowest() : 0.0F;
    bool are_good = true;
    for (const float value : values) are_good &= value >= least && value <= std::numeric_limits<float>::max();
    if (are_good) return;
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::isfinite(values[i]) && (may_be_less || values[i] >= 0)) continue;
      const auto per_row = static_cast<int64_t>(values.size()) / parts.rows;
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{} of row {}{} is {}, expected a finite number{}", what,
                              first_row + static_cast<int64_t>(i) / per_row,
                              per_row > 1 ? fmt::format(" group {}", static_cast<int64_t>(i) % per_row) : "",
                              values[i], may_be_less ? "" : " that is not negative"),
                  std::string(kDamaged));
    }
  };
  check_all(parts.scales, "weight scale", may_be_negative);
  check_all(parts.outer_scales, "weight scale", may_be_negative);
  check_all(parts.minimums, "weight minimum", true);
  check_all(parts.outer_minimums, "weight minimum", true);
}

}  // namespace beryl::formats
