// compressed-tensors (llm-compressor, vLLM), FP8 with one scale a row or a tensor:
//
//   MODULE.weight        F8_E4M3 [N, K]
//   MODULE.weight_scale  BF16, F16 or F32: [N] or [N,1], or [] or [1]; multiplies
//   MODULE.input_scale   one number, for quantised activations only: not needed here
//
// Experts are modules of their own.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class CompressedTensorsDialect final : public Dialect {
 public:
  std::string_view name() const override { return "compressed-tensors"; }
  std::span<const std::string_view> methods() const override;
  std::string_view capabilities() const override { return "FP8 e4m3 with a scale per row or per tensor"; }
  bool reads(const QuantizationScheme& scheme) const override;
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
