// Reads published weights as exact float32 values: the specification that packed layouts and kernels are
// tested against, and what verification tools use. Not for the fast path.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "formats/quant_matrix.h"

namespace beryl::formats {

// All elements of a plain range (bf16, f16 or f32): norm weights, scales.
// Errors: kIo.
std::vector<float> read_floats(const ElementRange& elements);

// The scale of each row, [rows]; ones where the format has none.
// Errors: kIo; kInvalidInput when a scale is not finite or negative (the message gives the first such row).
std::vector<float> read_row_scales(const QuantMatrix& matrix);

// Decodes matrices row by row. Borrows the matrix.
class RowDecoder {
 public:
  // Reads the scales. Errors: as read_row_scales().
  explicit RowDecoder(const QuantMatrix& matrix);

  // Fills out, [count, cols], with rows first_row ... first_row + count - 1, count = out.size() / cols.
  // Errors: kIo.
  void decode(int64_t first_row, std::span<float> out);

 private:
  const QuantMatrix& matrix_;
  std::vector<float> row_scales_;     // [rows]
  std::vector<std::byte> code_rows_;  // the rows being decoded, as in the file
};

}  // namespace beryl::formats
