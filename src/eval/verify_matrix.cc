#include "eval/verify_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "formats/decoder.h"

namespace beryl::eval {
namespace {

using checkpoint::Part;
using formats::Format;
using formats::QuantMatrix;

// Root mean squares of published weights lie between 0.001 and 1.
constexpr double kRmsMin = 1e-7;
constexpr double kRmsMax = 100;
// No published weight comes near it.
constexpr float kMagnitudeMax = 1e4F;
// The last group or rows beside the median of the others.
constexpr double kTailFactor = 8;
constexpr double kTailFactorOfError = 64;
constexpr size_t kTailOthersMin = 2;
constexpr int64_t kTailWidthMin = 4;
// Equal scales are chance where there are few.
constexpr int64_t kEqualScalesMin = 32;
constexpr int64_t kConstantElementsMin = 16;

constexpr std::string_view kUninitialised =
    "memory that the producer never filled, or a tensor that was never written; get the checkpoint again or "
    "from another source";

bool is_table(Part part) {
  return part == Part::kEmbedding || part == Part::kHead || part == Part::kPerLayerEmbedding;
}

class MatrixCheck {
 public:
  MatrixCheck(const RoleWeight& weight, const MatrixStatistics& statistics)
      : weight_(weight), matrix_(weight.weight->matrix), statistics_(statistics) {}

  std::vector<Finding> run() {
    check_finite();
    check_values();
    check_scales();
    if (statistics_.sum_squares > 0 && statistics_.code_min < statistics_.code_max) {
      check_columns();
      check_rows();
    }
    return std::move(findings_);
  }

 private:
  void add(Severity severity, std::string_view kind, std::string found, std::string expected,
           std::string_view meaning) {
    findings_.push_back({.severity = severity,
                         .kind = kind,
                         .module = weight_label(*weight_.role, *weight_.weight),
                         .found = std::move(found),
                         .expected = std::move(expected),
                         .meaning = std::string(meaning)});
  }

  void check_finite() {
    if (statistics_.non_finite == 0) return;
    const int64_t first = statistics_.first_non_finite;
    const bool is_code = matrix_.format > Format::kF32;
    add(Severity::kError, "non-finite",
        fmt::format(
            "{} {}, the first at row {} input {}", statistics_.non_finite,
            is_code ? "codes that are no number (e4m3 0x7F or 0xFF)" : "values that are NaN or infinite",
            first / matrix_.cols, first % matrix_.cols),
        "finite values",
        is_code
            ? "a value beyond 448 was converted without clamping it, or the file is damaged; every answer "
              "that uses the row is NaN"
            : "the file is damaged or training diverged; every answer that uses the row is NaN");
  }

  void check_values() {
    const double rms = statistics_.rms();
    if (statistics_.sum_squares == 0) {
      if (statistics_.zero_groups > 0) return;  // told of the scales
      add(Severity::kError, "all-zero", "all values are zero", "weights", kUninitialised);
      return;
    }
    if (statistics_.code_min == statistics_.code_max && statistics_.elements >= kConstantElementsMin) {
      add(Severity::kError, "constant-codes",
          fmt::format("all {} are {}", matrix_.format > Format::kF32 ? "codes" : "values",
                      statistics_.code_min),
          "values that differ", kUninitialised);
    } else if (!(rms >= kRmsMin && rms <= kRmsMax)) {
      add(Severity::kError, "absurd-magnitude", fmt::format("root mean square {:.3g}", rms),
          fmt::format("{:g} to {:g}", kRmsMin, kRmsMax),
          "a scale is missing, applied twice or stored the wrong way round");
    } else if (!(statistics_.largest <= kMagnitudeMax)) {
      add(Severity::kError, "absurd-scale",
          fmt::format("values up to {:.3g} in row {}, where the root mean square is {:.3g}",
                      statistics_.largest, statistics_.largest_row, rms),
          fmt::format("magnitudes up to {:g}", kMagnitudeMax),
          "a single scale is absurdly large: uninitialised memory, or damage");
    }
  }

  void check_scales() {
    if (statistics_.zero_groups > 0) {
      add(Severity::kError, "zero-scale",
          fmt::format("{} of {} scales are zero over codes that are not, the first in row {}",
                      statistics_.zero_groups, statistics_.groups, statistics_.first_zero_row),
          "zero scales over zero codes only",
          "the weights under them are lost; a producer's scale buffer was not filled, or the file is "
          "damaged");
    } else if (has_only_zero_scales()) {
      add(Severity::kError, "zero-scale",
          fmt::format("all {} scales are zero over codes that are not", statistics_.scales),
          "zero scales over groups of equal values only",
          "a producer's scale buffer was not filled; what is left of each group is its minimum");
    }
    if (statistics_.subnormal_groups > 0) {
      add(Severity::kWarning, "subnormal-scale",
          fmt::format("{} of {} scales are below 1.2e-38", statistics_.subnormal_groups, statistics_.groups),
          "normal float32 numbers", "processors that flush subnormal numbers to zero compute other results");
    }
    if (has_equal_scales()) {
      add(Severity::kWarning, "equal-scales",
          fmt::format("all {} scales are {:.4g}", statistics_.scales, statistics_.scale_min),
          "scales that follow the weights",
          "a scale buffer that kept its first value, unless one scale was spread over all rows");
    }
  }

  // Where groups have minimums, some scales may be zero, but not all.
  bool has_only_zero_scales() const {
    return statistics_.sum_squares > 0 && statistics_.groups > 0 && statistics_.scales > 0 &&
           statistics_.scale_min == 0 && statistics_.scale_max == 0;
  }

  // Scales that cover the matrix in many tiles. Powers of two are often equal.
  bool has_equal_scales() const {
    if (statistics_.scale_min != statistics_.scale_max || statistics_.scale_max == 0 || !matrix_.scales)
      return false;
    if (matrix_.format == Format::kMxFp4 || matrix_.format == Format::kMxFp8) return false;
    const int64_t down = (matrix_.rows + matrix_.scales->tile_rows - 1) / matrix_.scales->tile_rows;
    const int64_t across = (matrix_.cols + matrix_.scales->tile_cols - 1) / matrix_.scales->tile_cols;
    return std::max(down, across) >= kEqualScalesMin;
  }

  // The last of a run of parts beside the median of the others; nothing when there are too few.
  static std::optional<double> last_by_others(const std::vector<double>& squares, double last_share) {
    if (squares.size() < kTailOthersMin + 1) return std::nullopt;
    std::vector<double> others(squares.begin(), squares.end() - 1);
    const auto middle = others.begin() + static_cast<std::ptrdiff_t>(others.size() / 2);
    std::nth_element(others.begin(), middle, others.end());
    if (*middle == 0) return std::nullopt;
    return std::sqrt(squares.back() / last_share / *middle);
  }

  void check_columns() {
    const int64_t width = column_segment(matrix_);
    const int64_t last = matrix_.cols - static_cast<int64_t>(statistics_.column_squares.size() - 1) * width;
    if (last < kTailWidthMin) return;
    const std::string where = fmt::format("the last {} of {} inputs", last, matrix_.cols);
    const std::vector<int64_t>& constant = statistics_.column_constant;
    const int64_t most_of_rows = matrix_.rows * 9 / 10;
    const auto is_constant = [&](int64_t rows) { return rows > most_of_rows; };
    if (constant.size() > 1 && is_constant(constant.back()) &&
        std::none_of(constant.begin(), constant.end() - 1, is_constant)) {
      add(Severity::kError, "stale-tail",
          fmt::format("{} have one code each in {} of {} rows", where, constant.back(), matrix_.rows),
          "codes that differ, as in the other groups",
          "the last group was never written: a producer's group size does not divide the row");
      return;
    }
    check_tail(where, last_by_others(statistics_.column_squares,
                                     static_cast<double>(last) / static_cast<double>(width)));
  }

  void check_rows() {
    if (is_table(weight_.role->part)) return;  // rare tokens
    const auto count = static_cast<int64_t>(statistics_.row_squares.size());
    const int64_t last = matrix_.rows - (count - 1) * kRowSegment;
    check_tail(fmt::format("the last {} of {} rows", last, matrix_.rows),
               last_by_others(statistics_.row_squares, static_cast<double>(last) / kRowSegment));
    const auto zero = std::count(statistics_.row_squares.begin(), statistics_.row_squares.end() - 1, 0.0);
    if (zero > 0) {
      add(Severity::kError, "zero-rows",
          fmt::format("{} of {} runs of {} rows are zero", zero, count, kRowSegment), "weights",
          kUninitialised);
    }
  }

  void check_tail(const std::string& where, std::optional<double> ratio) {
    if (!ratio || (*ratio <= kTailFactor && *ratio >= 1 / kTailFactor)) return;
    if (*ratio == 0) {
      const bool may_be_padded = weight_.weight->dialect == "GGUF";
      add(may_be_padded ? Severity::kNote : Severity::kError, "stale-tail", where + " are zero", "weights",
          may_be_padded
              ? "a file padded to whole blocks"
              : "the last group was never written: a producer's group or block size does not divide "
                "the matrix");
      return;
    }
    const bool is_certain = *ratio > kTailFactorOfError || *ratio < 1 / kTailFactorOfError;
    add(is_certain ? Severity::kError : Severity::kWarning, "tail-magnitude",
        fmt::format("{} are {:.3g} times as large as the others", where, *ratio),
        fmt::format("a factor of up to {:g}", kTailFactor),
        "the last group's scales are stale or misplaced: a group or block size that does not divide the "
        "matrix");
  }

  const RoleWeight& weight_;
  const QuantMatrix& matrix_;
  const MatrixStatistics& statistics_;
  std::vector<Finding> findings_;
};

// Above every published norm weight.
constexpr float kVectorMax = 1e4F;

}  // namespace

Finding unreadable_finding(const RoleWeight& weight, const Error& error) {
  const bool is_inverted = error.message().find("wrong way round") != std::string::npos;
  const bool is_io = error.code() == ErrorCode::kIo;
  return {.severity = Severity::kError,
          .kind = is_io ? "unreadable" : (is_inverted ? "inverted-scale" : "invalid-scale"),
          .module = weight_label(*weight.role, *weight.weight),
          .found = error.message(),
          .expected = is_io ? "a file that can be read" : "numbers that the format allows",
          .meaning = error.help()};
}

std::vector<Finding> check_matrix(const RoleWeight& weight, const MatrixStatistics& statistics) {
  return MatrixCheck(weight, statistics).run();
}

std::vector<Finding> check_vector(const RoleWeight& weight) {
  std::vector<Finding> findings;
  const auto add = [&](Severity severity, std::string_view kind, std::string found, std::string expected,
                       std::string meaning) {
    findings.push_back({.severity = severity,
                        .kind = kind,
                        .module = weight_label(*weight.role, *weight.weight),
                        .found = std::move(found),
                        .expected = std::move(expected),
                        .meaning = std::move(meaning)});
  };
  const std::vector<float> values = formats::read_floats(weight.weight->matrix.codes);
  const auto is_bad = [](float value) { return !std::isfinite(value); };
  if (const auto bad = std::count_if(values.begin(), values.end(), is_bad); bad > 0) {
    const auto first = std::find_if(values.begin(), values.end(), is_bad) - values.begin();
    add(Severity::kError, "non-finite",
        fmt::format("{} values are NaN or infinite, the first at {}", bad, first), "finite values",
        "every answer is NaN; the file is damaged or training diverged");
    return findings;
  }
  if (std::all_of(values.begin(), values.end(), [](float value) { return value == 0; })) {
    add(Severity::kError, "all-zero", "all values are zero", "values around 1",
        "everything that passes through is lost; " + std::string(kUninitialised));
    return findings;
  }
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (std::max(-*low, *high) > kVectorMax) {
    add(Severity::kWarning, "absurd-magnitude", fmt::format("values from {:.3g} to {:.3g}", *low, *high),
        fmt::format("magnitudes up to {:g}", kVectorMax), "uninitialised memory, or damage");
  }
  const Part part = weight.role->part;
  if ((part == Part::kPerExpertScale || part == Part::kLayerScalar) && *low <= 0) {
    add(Severity::kWarning, "no-positive-scale",
        fmt::format("value {:.3g} at {}", *low, low - values.begin()), "positive values",
        part == Part::kPerExpertScale ? "the expert's answers are dropped or turned around"
                                      : "the layer's answers are dropped or turned around");
  }
  return findings;
}

}  // namespace beryl::eval
