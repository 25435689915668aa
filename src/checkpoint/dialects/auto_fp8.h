// AutoFP8, and what vLLM writes as quant_method "fp8" without weight_block_size:
//
//   MODULE.weight        F8_E4M3 [N,K]
//   MODULE.weight_scale  float [] or [1]; multiplies. One number a row, [N] or [N,1], is read as well: the
//                        configuration does not tell the two apart
//   MODULE.input_scale   one number, where activation_scheme is "static": not needed here
//
// Experts are modules of their own. ignored_layers are whole names.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class AutoFp8Dialect final : public Dialect {
 public:
  std::string_view name() const override { return "AutoFP8"; }
  std::span<const std::string_view> methods() const override;
  std::string_view capabilities() const override { return "FP8 (per tensor, per row)"; }
  void read_rules(const ConfigFields& section, QuantizationRules& rules) const override;
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
