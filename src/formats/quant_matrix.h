// formats: what the numbers in a checkpoint are.
//
// In:  ranges of files that hold element codes and their scales.
// Out: exact float32 values, by one scalar decoder a format, which is that format's specification.
// Must never know: how a file spells its names, networks, backends, panels.
//
// Read first: this header, then one format (fp8.h), then decoder.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "formats/dtype.h"

namespace beryl::formats {

// Elements of one type, contiguous in a file.
struct ElementRange {
  DType dtype = DType::kBf16;
  FileRange range;

  int64_t count() const { return static_cast<int64_t>(range.bytes) * 8 / dtype_bits(dtype); }
};

enum class Format : uint8_t {
  kBf16,     // plain.h
  kF16,      // plain.h
  kF32,      // plain.h
  kFp8E4m3,  // fp8.h
};

std::string_view format_name(Format format);

// Which elements share a scale.
enum class ScaleGrid : uint8_t {
  kNone,       // the codes are the values
  kPerRow,     // one scale for each output row
  kPerTensor,  // one scale for the matrix
};

std::string_view scale_grid_name(ScaleGrid grid);

// One weight matrix as published: codes in row-major order, rows are outputs. Borrowed from the checkpoint
// that owns the files. A matrix may be a part of a larger tensor (one expert, the gate half of gate_up).
struct QuantMatrix {
  int64_t rows = 0;  // outputs
  int64_t cols = 0;  // inputs, the K of a product
  Format format = Format::kBf16;
  ElementRange codes;  // [rows, cols]
  ScaleGrid scale_grid = ScaleGrid::kNone;
  std::optional<ElementRange> scales;  // [rows] or [1]; present unless scale_grid is kNone

  uint64_t published_bytes() const { return codes.range.bytes + (scales ? scales->range.bytes : 0); }
};

// The upper and lower half of a matrix of an even number of rows, such as gate and up of gate_up.
std::pair<QuantMatrix, QuantMatrix> split_rows(const QuantMatrix& matrix);

}  // namespace beryl::formats
