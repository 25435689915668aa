#include "checkpoint/dialects/gguf.h"

#include <array>
#include <optional>

#include "checkpoint/dialects/module_reading.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using formats::Format;

// Experts of a layer have no suffix.
constexpr std::array<std::string_view, 2> kSuffixes = {"weight", ""};

std::optional<Format> find_format(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return Format::kQ4_0;
    case DType::kQ4_1:
      return Format::kQ4_1;
    case DType::kQ5_0:
      return Format::kQ5_0;
    case DType::kQ5_1:
      return Format::kQ5_1;
    case DType::kQ8_0:
      return Format::kQ8_0;
    case DType::kQ4K:
      return Format::kQ4K;
    case DType::kQ5K:
      return Format::kQ5K;
    case DType::kQ6K:
      return Format::kQ6K;
    default:
      return std::nullopt;
  }
}

// Null when there is none, or two.
const TensorRecord* find_weight(const Module& module) {
  return module.tensors.size() == 1 ? module.tensors.front().second : nullptr;
}

}  // namespace

bool GgufDialect::recognises(const Module& module) const {
  const TensorRecord* weight = find_weight(module);
  return weight != nullptr && find_format(weight->dtype).has_value();
}

ModuleReading GgufDialect::read(const Module& module, const ModuleShape& shape,
                                const QuantizationConfig& /*quantization*/) const {
  check_no_other_tensors(module, kSuffixes);
  check_is_matrix(module, shape);
  const TensorRecord& weight = *find_weight(module);
  check_weight_shape(weight, shape);
  ModuleReading reading;
  for (int64_t i = 0; i < shape.matrix_count(); ++i) {
    reading.matrices.push_back({.rows = shape.rows,
                                .cols = shape.cols,
                                .format = *find_format(weight.dtype),
                                .codes = part_of(weight, i, shape.matrix_count()),
                                .may_have_negative_scales = true});
  }
  return reading;
}

}  // namespace beryl::checkpoint
