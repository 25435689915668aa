// The panels of a matrix, wherever it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/cpu/packed_matrix.h"
#include "backend/cpu/panel_packer.h"
#include "formats/code_moves.h"

namespace beryl::backend {

// Of matrices that stay in their files, the panels are packed into memory of the reader, which serves one
// thread.
class PanelReader {
 public:
  explicit PanelReader(const formats::CodeMoves& moves) : packer_(moves) {}

  // `count` panels from `first` on, one behind the other, until the next call. Errors: of a matrix in its
  // files as PanelPacker::pack().
  const std::byte* panels(const PackedMatrix& matrix, int64_t first, int64_t count);

 private:
  struct alignas(kLineBytes) Line {
    std::byte bytes[kLineBytes];
  };

  PanelPacker packer_;
  std::vector<Line> packed_;
};

}  // namespace beryl::backend
