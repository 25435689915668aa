// How far the values of one matrix are from those of another.
#pragma once

#include <cstdint>
#include <vector>

#include "formats/quant_matrix.h"

namespace beryl::eval {

// Columns of one of Comparison::columns.
inline constexpr int64_t kComparedColumns = 32;

struct Sums {
  double dot = 0;         // of ours and the original's values
  double ours = 0;        // squares
  double original = 0;    // squares
  double difference = 0;  // squares of the differences

  void add(const Sums& other);
  double cosine() const;          // 1 for two zeros
  double relative_error() const;  // 0 for two zeros
};

// Two matrices of one shape.
struct Comparison {
  Sums whole;
  int64_t unequal = 0;        // values
  std::vector<Sums> columns;  // by kComparedColumns
  // Rows whose relative error is beyond the bound that was asked for, and the worst.
  int64_t wrong_rows = 0;
  int64_t worst_row = -1;
  double worst_row_error = 0;
  // Of e4m3 codes: values, large in their row, that fall short of the original's by more than rounding can
  // do.
  int64_t clipped = 0;
  double worst_clip = 0;  // share of the original's value that is missing
  int64_t worst_clip_row = -1;

  void merge(const Comparison& other);
};

// `count` rows from `first_row` on. Errors: as formats::RowDecoder.
Comparison compare_rows(const formats::QuantMatrix& ours, const formats::QuantMatrix& original,
                        int64_t first_row, int64_t count, double row_error_max);

// What a format's rounding may do to a weight.
struct Closeness {
  double cosine_min = 0;
  double relative_error_max = 0;
};
Closeness closeness_of(const formats::QuantMatrix& ours, const formats::QuantMatrix& original);

}  // namespace beryl::eval
