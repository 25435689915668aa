#include "formats/decoder.h"

#include <fmt/format.h>

#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "formats/fp8.h"
#include "formats/plain.h"

namespace beryl::formats {

std::vector<float> read_floats(const ElementRange& elements) {
  std::vector<std::byte> bytes(elements.range.bytes);
  elements.range.file->read(elements.range.offset, bytes);
  std::vector<float> values(static_cast<size_t>(elements.count()));
  decode_plain(elements.dtype, bytes, values);
  return values;
}

std::vector<float> read_row_scales(const QuantMatrix& matrix) {
  const auto rows = static_cast<size_t>(matrix.rows);
  if (matrix.scale_grid == ScaleGrid::kNone) return std::vector<float>(rows, 1.0F);
  std::vector<float> scales = read_floats(*matrix.scales);
  for (size_t i = 0; i < scales.size(); ++i) {
    if (std::isfinite(scales[i]) && scales[i] >= 0) continue;
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("weight scale {} of {} is {}, expected a finite number that is not negative", i,
                    scales.size(), scales[i]),
        "the checkpoint is damaged or its producer left the scale uninitialised; download it again, or "
        "report it to its publisher");
  }
  if (matrix.scale_grid == ScaleGrid::kPerTensor) scales.assign(rows, scales.front());
  return scales;
}

RowDecoder::RowDecoder(const QuantMatrix& matrix) : matrix_(matrix), row_scales_(read_row_scales(matrix)) {}

void RowDecoder::decode(int64_t first_row, std::span<float> out) {
  const auto cols = static_cast<size_t>(matrix_.cols);
  if (cols == 0) return;
  const size_t count = out.size() / cols;
  BERYL_CHECK(out.size() == count * cols && first_row >= 0 &&
              first_row + static_cast<int64_t>(count) <= matrix_.rows);
  const size_t row_bytes = cols * static_cast<size_t>(dtype_bits(matrix_.codes.dtype)) / 8;
  code_rows_.resize(count * row_bytes);
  matrix_.codes.range.file->read(matrix_.codes.range.offset + static_cast<uint64_t>(first_row) * row_bytes,
                                 code_rows_);
  if (matrix_.format != Format::kFp8E4m3) {
    decode_plain(matrix_.codes.dtype, code_rows_, out);
    return;
  }
  for (size_t row = 0; row < count; ++row) {
    decode_fp8_row(std::span(code_rows_).subspan(row * row_bytes, row_bytes),
                   row_scales_[static_cast<size_t>(first_row) + row], out.subspan(row * cols, cols));
  }
}

}  // namespace beryl::formats
