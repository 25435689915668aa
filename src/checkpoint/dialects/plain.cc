#include "checkpoint/dialects/plain.h"

#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "checkpoint/dialects/module_reading.h"
#include "formats/plain.h"

namespace beryl::checkpoint {
namespace {

// Parameters that are no modules of their own (fused experts, layer_scalar, ...) have no suffix.
const TensorRecord* find_weight(const Module& module) {
  const TensorRecord* weight = module.find("weight");
  return weight != nullptr ? weight : module.find("");
}

formats::Format format_of(formats::DType dtype) {
  switch (dtype) {
    case formats::DType::kF16:
      return formats::Format::kF16;
    case formats::DType::kF32:
      return formats::Format::kF32;
    default:
      return formats::Format::kBf16;
  }
}

}  // namespace

bool PlainDialect::recognises(const Module& module) const {
  const TensorRecord* weight = find_weight(module);
  return weight != nullptr && formats::is_plain(weight->dtype);
}

ModuleReading PlainDialect::read(const Module& module, const ModuleShape& shape,
                                 const QuantizationConfig& quantization) const {
  const TensorRecord& weight = *find_weight(module);
  constexpr std::array<std::string_view, 2> kKnown = {"weight", ""};
  check_no_other_tensors(module, kKnown);
  if (module.tensors.size() > 1) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("'{}' is stored twice: as '{}' and as '{}'", module.name,
                            module.tensors[0].second->name, module.tensors[1].second->name));
  }
  check_weight_shape(weight, shape);
  if (!shape.is_vector && quantization.expects_quantised(module.role, module.name)) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("'{}' is stored as {}, but quantization_config says that it is quantised ({})",
                            module.name, formats::dtype_name(weight.dtype), quantization.method()),
                "the producer left it unquantised without saying so; quantise the model again or list the "
                "module under \"ignore\"");
  }
  ModuleReading reading;
  for (int64_t i = 0; i < shape.matrix_count(); ++i) {
    reading.matrices.push_back({.rows = shape.rows,
                                .cols = shape.cols,
                                .format = format_of(weight.dtype),
                                .codes = part_of(weight, i, shape.matrix_count())});
  }
  return reading;
}

}  // namespace beryl::checkpoint
