// A matrix whose rows are only looked up: it stays in its file, and the system keeps in memory what is used
// of it. For the embeddings of each layer, which are half of the smaller models.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "formats/decoder.h"

namespace beryl::backend {

// Whether upload() leaves the matrix in its file.
bool stays_in_file(const MatrixSource& source);

class TableMatrix final : public Matrix {
 public:
  // For `threads` that look up rows at a time. Errors: as formats::RowReader.
  TableMatrix(const MatrixSource& source, int threads);
  TableMatrix(const TableMatrix&) = delete;
  TableMatrix& operator=(const TableMatrix&) = delete;

  // Fills `out`, [cols], with row `row`. Errors: kIo; kInvalidInput for a bad scale; both name the module.
  void read_row(int thread, int64_t row, std::span<float> out) const;

 private:
  std::string name_;
  formats::QuantMatrix matrix_;
  std::vector<std::unique_ptr<formats::RowDecoder>> decoders_;  // one a thread
};

}  // namespace beryl::backend
