#include "eval/verify_comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "formats/decoder.h"
#include "formats/scheme.h"

namespace beryl::eval {
namespace {

using formats::QuantMatrix;

constexpr int64_t kElementsAtOnce = 1 << 19;
// Where rows lie across the words of a file, a few rows cost as much as many.
constexpr int64_t kElementsAtOnceAcross = 1 << 22;
// Rows with so little of the matrix's weight may be rounded away.
constexpr double kRowWeightMin = 1e-4;
// Rounding to the three bits of e4m3's fraction takes 1/17 at most; scales in bf16 a little more.
constexpr double kClipMin = 0.064;

int bits_of(const QuantMatrix& matrix) {
  return formats::code_bits(formats::scheme_of(matrix).codes);
}

bool lies_across(const QuantMatrix& matrix) {
  return matrix.code_order == formats::CodeOrder::kInputWords ||
         matrix.code_order == formats::CodeOrder::kOutputWords;
}

// 1.25 times the error that belongs to a cosine.
double error_at(double cosine) {
  return 1.25 * std::sqrt(1 - cosine * cosine);
}

}  // namespace

void Sums::add(const Sums& other) {
  dot += other.dot;
  ours += other.ours;
  original += other.original;
  difference += other.difference;
}

double Sums::cosine() const {
  if (ours == 0 && original == 0) return 1;
  return ours > 0 && original > 0 ? dot / std::sqrt(ours * original) : 0;
}

double Sums::relative_error() const {
  if (difference == 0) return 0;
  return original > 0 ? std::sqrt(difference / original) : std::numeric_limits<double>::infinity();
}

void Comparison::merge(const Comparison& other) {
  whole.add(other.whole);
  unequal += other.unequal;
  if (columns.size() < other.columns.size()) columns.resize(other.columns.size());
  for (size_t i = 0; i < other.columns.size(); ++i) columns[i].add(other.columns[i]);
  wrong_rows += other.wrong_rows;
  if (other.worst_row_error > worst_row_error) {
    worst_row_error = other.worst_row_error;
    worst_row = other.worst_row;
  }
  clipped += other.clipped;
  if (other.worst_clip > worst_clip) {
    worst_clip = other.worst_clip;
    worst_clip_row = other.worst_clip_row;
  }
}

namespace {

// Adds one row; returns its sums.
Sums add_row(std::span<const float> ours, std::span<const float> original, Comparison& to) {
  Sums row;
  for (size_t segment = 0; segment < to.columns.size(); ++segment) {
    Sums sums;
    const size_t first = segment * kComparedColumns;
    const size_t end = std::min(first + kComparedColumns, ours.size());
    for (size_t k = first; k < end; ++k) {
      const double a = ours[k];
      const double b = original[k];
      sums.dot += a * b;
      sums.ours += a * a;
      sums.original += b * b;
      sums.difference += (a - b) * (a - b);
      to.unequal += a == b ? 0 : 1;
    }
    to.columns[segment].add(sums);
    row.add(sums);
  }
  to.whole.add(row);
  return row;
}

// Counts the row's large values that were clipped.
void add_clipped(std::span<const float> ours, std::span<const float> original, int64_t row, Comparison& to) {
  float largest = 0;
  for (const float value : original) largest = std::max(largest, std::abs(value));
  for (size_t k = 0; k < ours.size(); ++k) {
    const float magnitude = std::abs(original[k]);
    if (magnitude == 0 || magnitude < largest / 2) continue;
    const double missing = 1 - static_cast<double>(std::abs(ours[k])) / magnitude;
    if (missing <= kClipMin) continue;
    ++to.clipped;
    if (missing <= to.worst_clip) continue;
    to.worst_clip = missing;
    to.worst_clip_row = row;
  }
}

}  // namespace

Comparison compare_rows(const QuantMatrix& ours, const QuantMatrix& original, int64_t first_row,
                        int64_t count, double row_error_max) {
  Comparison result;
  result.columns.resize(static_cast<size_t>((ours.cols + kComparedColumns - 1) / kComparedColumns));
  formats::RowDecoder our_decoder(ours);
  formats::RowDecoder original_decoder(original);
  const bool is_across = lies_across(ours) || lies_across(original);
  const int64_t elements = is_across ? kElementsAtOnceAcross : kElementsAtOnce;
  const int64_t at_once = std::max<int64_t>(1, elements / std::max<int64_t>(1, ours.cols));
  std::vector<float> a;
  std::vector<float> b;
  std::vector<Sums> rows;
  const bool can_clip = formats::scheme_of(ours).codes == formats::CodeKind::kE4m3 && bits_of(original) >= 16;
  const auto cols = static_cast<size_t>(ours.cols);
  for (int64_t row = first_row; row < first_row + count; row += at_once) {
    const auto taken = static_cast<size_t>(std::min(at_once, first_row + count - row));
    a.resize(taken * cols);
    b.resize(taken * cols);
    our_decoder.decode(row, a);
    original_decoder.decode(row, b);
    for (size_t i = 0; i < taken; ++i) {
      const auto ours_row = std::span(a).subspan(i * cols, cols);
      const auto original_row = std::span(b).subspan(i * cols, cols);
      if (can_clip) add_clipped(ours_row, original_row, row + static_cast<int64_t>(i), result);
      rows.push_back(add_row(ours_row, original_row, result));
    }
  }
  const double enough =
      kRowWeightMin * result.whole.original / static_cast<double>(std::max<int64_t>(1, count));
  for (size_t i = 0; i < rows.size(); ++i) {
    const double error = rows[i].original >= enough ? rows[i].relative_error() : 0;
    if (error <= row_error_max) continue;
    ++result.wrong_rows;
    if (error <= result.worst_row_error) continue;
    result.worst_row_error = error;
    result.worst_row = first_row + static_cast<int64_t>(i);
  }
  return result;
}

Closeness closeness_of(const QuantMatrix& ours, const QuantMatrix& original) {
  const int bits = std::min(bits_of(ours), bits_of(original));
  const double cosine =
      bits >= 16 ? 0.99999 : (bits == 8 ? 0.999 : (bits == 6 ? 0.998 : (bits == 5 ? 0.99 : 0.98)));
  return {.cosine_min = cosine, .relative_error_max = error_at(cosine)};
}

}  // namespace beryl::eval
