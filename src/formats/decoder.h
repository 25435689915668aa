// Reads published weights as exact float32 values: the specification that packed layouts and kernels are
// tested against, and what verification tools use. Not for the fast path.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "formats/quant_matrix.h"
#include "formats/row_reader.h"

namespace beryl::formats {

// All elements of a plain range (bf16, f16 or f32): norm weights, scales.
// Errors: kIo.
std::vector<float> read_floats(const ElementRange& elements);

// Decodes matrices row by row. Borrows the matrix.
class RowDecoder {
 public:
  // Errors: as RowReader.
  explicit RowDecoder(const QuantMatrix& matrix);

  // Fills out, [count, cols], with rows first_row ... first_row + count - 1, count = out.size() / cols.
  // Errors: as RowReader::read().
  void decode(int64_t first_row, std::span<float> out);

 private:
  // The factor and the offset of row `row` of the parts in group `group`, as the format rounds them.
  struct Affine {
    float zero;
    float scale;
    float minimum;
  };
  Affine affine_of(int64_t row, int64_t group) const;

  const QuantMatrix& matrix_;
  RowReader reader_;
  RowParts parts_;
};

}  // namespace beryl::formats
