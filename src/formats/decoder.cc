#include "formats/decoder.h"

#include "base/check.h"
#include "formats/plain.h"

namespace beryl::formats {

std::vector<float> read_floats(const ElementRange& elements) {
  std::vector<std::byte> bytes(elements.range.bytes);
  elements.range.file->read(elements.range.offset, bytes);
  std::vector<float> values(static_cast<size_t>(elements.count()));
  decode_plain(elements.dtype, bytes, values);
  return values;
}

RowDecoder::RowDecoder(const QuantMatrix& matrix) : matrix_(matrix), reader_(matrix) {}

RowDecoder::Affine RowDecoder::affine_of(int64_t row, int64_t group) const {
  const Scheme& scheme = reader_.scheme();
  Affine result{.zero = 0, .scale = 1, .minimum = 0};
  const auto inner = static_cast<size_t>(row * reader_.groups() + group);
  if (!parts_.scales.empty()) result.scale = parts_.scales[inner];
  if (!parts_.minimums.empty()) result.minimum = parts_.minimums[inner];
  if (!parts_.zeros.empty()) result.zero = parts_.zeros[inner];
  if (scheme.outer_group == 0) return result;
  const int64_t first_input = group * scheme.group;
  const auto outer = static_cast<size_t>(row * reader_.outer_groups() + first_input / scheme.outer_group);
  const float factor = parts_.outer_scales[outer];
  result.scale = reader_.outer_divides() ? result.scale / factor : result.scale * factor;
  if (scheme.has_outer_minimum) result.minimum *= parts_.outer_minimums[outer];
  return result;
}

void RowDecoder::decode(int64_t first_row, std::span<float> out) {
  const int64_t cols = matrix_.cols;
  if (cols == 0) return;
  const int64_t count = static_cast<int64_t>(out.size()) / cols;
  BERYL_CHECK(static_cast<int64_t>(out.size()) == count * cols);
  reader_.read(first_row, count, parts_);
  const Scheme& scheme = reader_.scheme();
  const std::span<const float> values = code_values(scheme.codes);
  if (values.empty()) {
    decode_plain(matrix_.codes.dtype, parts_.codes, out);
    return;
  }
  const bool is_nibbles = code_bits(scheme.codes) == 4;
  const int64_t group_size = scheme.group > 0 ? scheme.group : cols;
  const std::span<const int32_t> index = reader_.group_index();
  for (int64_t row = 0; row < count; ++row) {
    const std::byte* codes = parts_.codes.data() + row * reader_.code_row_bytes();
    float* to = out.data() + row * cols;
    Affine affine{};
    int64_t affine_group = -1;
    for (int64_t k = 0; k < cols; ++k) {
      const int64_t group = index.empty() ? k / group_size : index[static_cast<size_t>(k)];
      if (group != affine_group) affine = affine_of(row, group);
      affine_group = group;
      const auto code =
          static_cast<uint32_t>(is_nibbles ? (codes[k / 2] >> (k % 2 * 4)) & std::byte{15} : codes[k]);
      to[k] = (values[code] - affine.zero) * affine.scale;
      if (scheme.minimum != ScaleKind::kNone) to[k] += affine.minimum;
    }
  }
}

}  // namespace beryl::formats
