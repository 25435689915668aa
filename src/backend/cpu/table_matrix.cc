#include "backend/cpu/table_matrix.h"

#include "base/error.h"

namespace beryl::backend {

bool stays_in_file(const MatrixSource& source) {
  return source.is_table && !source.matrix.is_made_up();
}

TableMatrix::TableMatrix(const MatrixSource& source, int threads)
    : Matrix(source.matrix.rows, source.matrix.cols), name_(source.name), matrix_(source.matrix) {
  with_context(name_, [&] {
    for (int i = 0; i < threads; ++i) decoders_.push_back(std::make_unique<formats::RowDecoder>(matrix_));
  });
}

void TableMatrix::read_row(int thread, int64_t row, std::span<float> out) const {
  with_context(name_, [&] { decoders_[static_cast<size_t>(thread)]->decode(row, out); });
}

}  // namespace beryl::backend
