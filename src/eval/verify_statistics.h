// What one reading of a matrix tells about its numbers. The numbers are not kept, and codes are not turned
// into values one by one: a table gives the sums that two codes of 4 bits, or one of 8, add to their group,
// and the group's scale is applied to the sums.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "formats/quant_matrix.h"

namespace beryl::eval {

// Rows whose squares are added up together.
inline constexpr int64_t kRowSegment = 64;

struct MatrixStatistics {
  int64_t elements = 0;
  double sum_squares = 0;  // of the finite values
  int64_t non_finite = 0;
  int64_t first_non_finite = -1;  // row * cols + col
  float largest = 0;              // bound of the magnitudes of finite values
  int64_t largest_row = -1;
  // Of the codes' values before scales and zero points; of plain elements their own values.
  float code_min = std::numeric_limits<float>::infinity();
  float code_max = -std::numeric_limits<float>::infinity();

  // Groups: inputs of one row that share a scale, where some code is not zero.
  int64_t groups = 0;
  int64_t slack_groups = 0;      // whose codes stay away from the ends of their range
  int64_t zero_groups = 0;       // whose scale is zero
  int64_t first_zero_row = -1;   // the first row that has one
  int64_t subnormal_groups = 0;  // whose scale is a subnormal float32
  int64_t scales = 0;            // groups that have a scale, whatever their codes
  float scale_min = std::numeric_limits<float>::infinity();
  float scale_max = -std::numeric_limits<float>::infinity();

  // By segment of columns: a group where there are several in a row, else 64 inputs.
  std::vector<double> column_squares;
  std::vector<int64_t> column_constant;  // rows whose codes in the segment are all the same, and not zero
  // By kRowSegment rows of the whole matrix.
  std::vector<double> row_squares;

  double rms() const;
  // Adds those of other rows of the same matrix.
  void merge(const MatrixStatistics& other);
};

// Columns of one segment of MatrixStatistics::column_squares.
int64_t column_segment(const formats::QuantMatrix& matrix);

// Of `count` rows from `first_row` on. Errors: as formats::RowReader.
MatrixStatistics read_statistics(const formats::QuantMatrix& matrix, int64_t first_row, int64_t count);

}  // namespace beryl::eval
