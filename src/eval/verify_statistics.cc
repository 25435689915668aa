#include "eval/verify_statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "eval/verify_code_sums.h"
#include "formats/ggml_blocks.h"
#include "formats/plain.h"
#include "formats/row_reader.h"

namespace beryl::eval {
namespace {

using formats::CodeKind;
using formats::QuantMatrix;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Columns of a segment where a row has one scale or none.
constexpr int64_t kPlainSegment = 64;
// Elements that are read at once.
constexpr int64_t kElementsAtOnce = 1 << 19;

// ---- What is expected of codes ----

// Whether the codes of a group stay away from the ends of their range, which scales made from the group's
// largest value do not let happen. Rounded scales and those that are powers of two leave some room.
bool is_slack(const QuantMatrix& matrix, const formats::Scheme& scheme, float low, float high) {
  const float peak = std::max(-low, high);
  switch (scheme.codes) {
    case CodeKind::kE4m3:
      return peak < (matrix.format == formats::Format::kMxFp8 ? 256.0F : 448.0F);
    case CodeKind::kE2m1:
      return peak < 4;
    case CodeKind::kI4:
      return peak < 7;
    case CodeKind::kI5:
      return peak < 14;
    case CodeKind::kI6:
      return peak < 28;
    case CodeKind::kI8:
      return peak < 125;
    case CodeKind::kNf4:
      return peak < 1;
    case CodeKind::kU4:
      return high - low < 12;
    case CodeKind::kU5:
      return high - low < 25;
    case CodeKind::kU6:
      return high - low < 50;
    case CodeKind::kU8:
      return high - low < 216;
    case CodeKind::kBf16:
    case CodeKind::kF16:
    case CodeKind::kF32:
      return false;
  }
  return false;
}

// ---- The reading ----

class Reading {
 public:
  Reading(const QuantMatrix& matrix, int64_t first_row)
      : matrix_(matrix),
        reader_(matrix),
        scheme_(reader_.scheme()),
        segment_(column_segment(matrix)),
        segments_((matrix.cols + segment_ - 1) / segment_),
        first_row_(first_row) {
    result_.column_squares.resize(static_cast<size_t>(segments_));
    result_.column_constant.resize(static_cast<size_t>(segments_));
    result_.row_squares.resize(static_cast<size_t>((matrix.rows + kRowSegment - 1) / kRowSegment));
    order_inputs();
  }

  MatrixStatistics read(int64_t count) {
    const bool is_plain = formats::code_values(scheme_.codes).empty();
    int64_t at_once = std::max<int64_t>(1, kElementsAtOnce / matrix_.cols);
    // Where rows lie across the words, a few rows cost as much as many.
    const bool is_across = matrix_.code_order == formats::CodeOrder::kInputWords ||
                           matrix_.code_order == formats::CodeOrder::kOutputWords;
    if (is_across) at_once = count;
    for (int64_t row = 0; row < count; row += at_once) {
      const int64_t rows = std::min(at_once, count - row);
      reader_.read(first_row_ + row, rows, parts_);
      is_plain ? add_plain(first_row_ + row) : add_coded(first_row_ + row);
    }
    result_.elements = count * matrix_.cols;
    return std::move(result_);
  }

 private:
  struct Affine {
    float zero = 0;
    float scale = 1;
    float minimum = 0;
  };

  // With a group index, inputs are gathered group by group.
  void order_inputs() {
    const std::span<const int32_t> index = reader_.group_index();
    if (index.empty()) return;
    order_.resize(index.size());
    std::iota(order_.begin(), order_.end(), 0);
    std::sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) {
      return std::pair(index[static_cast<size_t>(a)], a) < std::pair(index[static_cast<size_t>(b)], b);
    });
    gathered_.resize(static_cast<size_t>(reader_.code_row_bytes()));
  }

  const std::byte* codes_of(int64_t row) {
    const std::byte* codes = parts_.codes.data() + row * reader_.code_row_bytes();
    if (order_.empty()) return codes;
    const bool is_nibbles = formats::code_bits(scheme_.codes) == 4;
    std::fill(gathered_.begin(), gathered_.end(), std::byte{0});
    for (size_t k = 0; k < order_.size(); ++k) {
      const auto from = static_cast<size_t>(order_[k]);
      if (is_nibbles) {
        const std::byte code = codes[from / 2] >> (from % 2 * 4) & std::byte{15};
        gathered_[k / 2] |= code << (k % 2 * 4);
      } else {
        gathered_[k] = codes[from];
      }
    }
    return gathered_.data();
  }

  Affine affine_of(int64_t row, int64_t group) const {
    Affine result;
    const auto inner = static_cast<size_t>(row * reader_.groups() + group);
    if (!parts_.scales.empty()) result.scale = parts_.scales[inner];
    if (!parts_.minimums.empty()) result.minimum = parts_.minimums[inner];
    if (!parts_.zeros.empty()) result.zero = parts_.zeros[inner];
    if (scheme_.outer_group == 0) return result;
    const int64_t outer_group = group * scheme_.group / scheme_.outer_group;
    const auto outer = static_cast<size_t>(row * reader_.outer_groups() + outer_group);
    const float factor = parts_.outer_scales[outer];
    result.scale = reader_.outer_divides() ? result.scale / factor : result.scale * factor;
    if (scheme_.has_outer_minimum) result.minimum *= parts_.outer_minimums[outer];
    return result;
  }

  void add_coded(int64_t first_row) {
    const bool has_groups = reader_.groups() > 1;
    for (int64_t row = 0; row < parts_.rows; ++row) {
      const std::byte* codes = codes_of(row);
      CodeSums whole_row;
      Affine affine = affine_of(row, 0);
      for (int64_t segment = 0; segment < segments_; ++segment) {
        const int64_t first = segment * segment_;
        const int64_t count = std::min(segment_, matrix_.cols - first);
        const CodeSums sums = table_.sum(codes, first, count);
        if (sums.high() == kInfinity) count_non_finite(codes, first_row + row, first, count);
        if (has_groups) affine = affine_of(row, segment);
        add_segment(first_row + row, segment, count, sums, affine);
        if (has_groups) {
          add_group(first_row + row, sums, affine);
        } else {
          whole_row.add(sums);
        }
      }
      if (!has_groups) add_group(first_row + row, whole_row, affine);
    }
  }

  void add_segment(int64_t row, int64_t segment, int64_t count, const CodeSums& sums, const Affine& affine) {
    const double n = static_cast<double>(count);
    const double zero = affine.zero;
    const double scale = affine.scale;
    const double minimum = affine.minimum;
    const double shifted = sums.sum() - n * zero;
    const double squares = sums.squares() - 2 * zero * sums.sum() + n * zero * zero;
    const double energy = scale * scale * squares + 2 * scale * minimum * shifted + n * minimum * minimum;
    add_squares(row, segment, std::max(0.0, energy));
    if (sums.low() == sums.high() && energy > 0) {
      ++result_.column_constant[static_cast<size_t>(segment)];
    }
  }

  void add_squares(int64_t row, int64_t segment, double squares) {
    result_.sum_squares += squares;
    result_.column_squares[static_cast<size_t>(segment)] += squares;
    result_.row_squares[static_cast<size_t>(row / kRowSegment)] += squares;
  }

  void add_largest(int64_t row, float magnitude) {
    if (!(magnitude > result_.largest)) return;
    result_.largest = magnitude;
    result_.largest_row = row;
  }

  void add_group(int64_t row, const CodeSums& sums, const Affine& affine) {
    const float low = sums.low();
    const float high = sums.high() == kInfinity ? std::max(low, 0.0F) : sums.high();
    result_.code_min = std::min(result_.code_min, low);
    result_.code_max = std::max(result_.code_max, high);
    const float magnitude = std::max(std::abs(low - affine.zero), std::abs(high - affine.zero));
    add_largest(row, magnitude * std::abs(affine.scale) + std::abs(affine.minimum));
    if (matrix_.scales || formats::is_block_format(matrix_.format)) {
      ++result_.scales;
      result_.scale_min = std::min(result_.scale_min, affine.scale);
      result_.scale_max = std::max(result_.scale_max, affine.scale);
    }
    if (magnitude == 0) return;
    ++result_.groups;
    if (is_slack(matrix_, scheme_, low, high)) ++result_.slack_groups;
    const bool may_be_zero =
        scheme_.minimum != formats::ScaleKind::kNone || formats::is_block_format(matrix_.format);
    if (affine.scale == 0 && !may_be_zero) {
      if (result_.zero_groups == 0) result_.first_zero_row = row;
      ++result_.zero_groups;
    }
    if (std::fpclassify(affine.scale) == FP_SUBNORMAL) ++result_.subnormal_groups;
  }

  void count_non_finite(const std::byte* codes, int64_t row, int64_t first, int64_t count) {
    const std::span<const float> values = formats::code_values(scheme_.codes);
    for (int64_t k = first; k < first + count; ++k) {
      if (std::isfinite(values[static_cast<size_t>(codes[k])])) continue;
      add_non_finite(row * matrix_.cols + (order_.empty() ? k : order_[static_cast<size_t>(k)]));
    }
  }

  void add_non_finite(int64_t position) {
    if (result_.non_finite == 0) result_.first_non_finite = position;
    ++result_.non_finite;
  }

  void add_plain(int64_t first_row) {
    values_.resize(static_cast<size_t>(parts_.rows * matrix_.cols));
    formats::decode_plain(matrix_.codes.dtype, parts_.codes, values_);
    for (int64_t row = 0; row < parts_.rows; ++row) {
      for (int64_t segment = 0; segment < segments_; ++segment) {
        const int64_t first = segment * segment_;
        const int64_t count = std::min(segment_, matrix_.cols - first);
        const auto values = std::span(values_).subspan(static_cast<size_t>(row * matrix_.cols + first),
                                                       static_cast<size_t>(count));
        const CodeSums sums = sum_values(values);
        if (!std::isfinite(sums.squares())) {
          add_one_by_one(first_row + row, segment, values);
          continue;
        }
        add_squares(first_row + row, segment, sums.squares());
        add_range(first_row + row, sums.low(), sums.high());
        if (count > 1 && sums.low() == sums.high() && sums.squares() > 0) {
          ++result_.column_constant[static_cast<size_t>(segment)];
        }
      }
    }
  }

  void add_range(int64_t row, float low, float high) {
    result_.code_min = std::min(result_.code_min, low);
    result_.code_max = std::max(result_.code_max, high);
    add_largest(row, std::max(-low, high));
  }

  // Values that are not finite, or whose squares are not.
  void add_one_by_one(int64_t row, int64_t segment, std::span<const float> values) {
    for (size_t i = 0; i < values.size(); ++i) {
      const double value = values[i];
      if (!std::isfinite(value)) {
        add_non_finite(row * matrix_.cols + segment * segment_ + static_cast<int64_t>(i));
        continue;
      }
      add_squares(row, segment, value * value);
      add_range(row, values[i], values[i]);
    }
  }

  const QuantMatrix& matrix_;
  formats::RowReader reader_;
  const formats::Scheme scheme_;
  const int64_t segment_;
  const int64_t segments_;
  const int64_t first_row_;
  const CodeTable table_ =
      CodeTable(formats::code_values(scheme_.codes).empty() ? CodeKind::kE4m3 : scheme_.codes);
  std::vector<int32_t> order_;
  std::vector<std::byte> gathered_;
  formats::RowParts parts_;
  std::vector<float> values_;
  MatrixStatistics result_;
};

}  // namespace

double MatrixStatistics::rms() const {
  const int64_t finite = elements - non_finite;
  return finite > 0 ? std::sqrt(sum_squares / static_cast<double>(finite)) : 0;
}

void MatrixStatistics::merge(const MatrixStatistics& other) {
  const auto take_first = [](int64_t& to, int64_t from) {
    if (from >= 0 && (to < 0 || from < to)) to = from;
  };
  const auto add_all = [](auto& to, const auto& from) {
    if (to.size() < from.size()) to.resize(from.size());
    for (size_t i = 0; i < from.size(); ++i) to[i] += from[i];
  };
  elements += other.elements;
  sum_squares += other.sum_squares;
  non_finite += other.non_finite;
  take_first(first_non_finite, other.first_non_finite);
  if (other.largest > largest || largest_row < 0) {
    largest = other.largest;
    largest_row = other.largest_row;
  }
  code_min = std::min(code_min, other.code_min);
  code_max = std::max(code_max, other.code_max);
  groups += other.groups;
  slack_groups += other.slack_groups;
  zero_groups += other.zero_groups;
  take_first(first_zero_row, other.first_zero_row);
  subnormal_groups += other.subnormal_groups;
  scales += other.scales;
  scale_min = std::min(scale_min, other.scale_min);
  scale_max = std::max(scale_max, other.scale_max);
  add_all(column_squares, other.column_squares);
  add_all(column_constant, other.column_constant);
  add_all(row_squares, other.row_squares);
}

int64_t column_segment(const QuantMatrix& matrix) {
  const formats::Scheme scheme = formats::scheme_of(matrix);
  if (scheme.group > 0 && scheme.group < matrix.cols) return scheme.group;
  return std::max<int64_t>(1, std::min(kPlainSegment, matrix.cols));
}

MatrixStatistics read_statistics(const QuantMatrix& matrix, int64_t first_row, int64_t count) {
  if (matrix.cols == 0 || count == 0) return {};
  return Reading(matrix, first_row).read(count);
}

}  // namespace beryl::eval
