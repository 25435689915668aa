#include "checkpoint/dialects/fused_fp8.h"

#include "checkpoint/dialects/fp8_matrices.h"
#include "checkpoint/dialects/module_reading.h"
#include "formats/plain.h"

namespace beryl::checkpoint {
namespace {

// One number for each row of each expert.
bool is_scale_of(const TensorRecord& codes, const TensorRecord& scale) {
  const std::vector<int64_t>& rows = codes.shape;
  const std::vector<int64_t>& s = scale.shape;
  if (!formats::is_plain(scale.dtype) || s.size() < 2 || s[0] != rows[0] || s[1] != rows[1]) return false;
  return s.size() == 2 || (s.size() == 3 && s[2] == 1);
}

const TensorRecord* find_scale(const Module& module, const TensorRecord& codes) {
  for (const auto& [suffix, record] : module.tensors) {
    if (record != &codes && is_scale_of(codes, *record)) return record;
  }
  return nullptr;
}

}  // namespace

bool FusedFp8Dialect::recognises(const Module& module) const {
  const TensorRecord* codes = module.find("");
  return codes != nullptr && codes->dtype == formats::DType::kF8E4M3 && codes->shape.size() == 3 &&
         module.tensors.size() == 2 && find_scale(module, *codes) != nullptr;
}

ModuleReading FusedFp8Dialect::read(const Module& module, const ModuleShape& shape,
                                    const QuantizationConfig& quantization) const {
  const TensorRecord& codes = require(module, "");
  check_weight_shape(codes, shape);
  if (quantization.find_scheme(module.role, module.name) != nullptr) {
    fail_contradiction(module, "FP8 with a scale for each row of each expert",
                       "quantization_config describes another way (" + quantization.method() + ")");
  }
  return {.matrices = fp8_matrices(shape, codes, *find_scale(module, codes), 1, shape.cols)};
}

}  // namespace beryl::checkpoint
