// NVIDIA ModelOpt. Tensors of a module of N rows and K inputs:
//
//   NVFP4, W4A16_NVFP4  weight U8 [N,K/2], low half of a byte first; weight_scale F8_E4M3 [N,K/16];
//                       weight_scale_2 F32 []; both scales multiply
//   FP8                 weight F8_E4M3 [N,K], weight_scale float []
//   FP8_PC_PT           weight F8_E4M3 [N,K], weight_scale float [N]
//   FP8_PB_WO           weight F8_E4M3 [N,K], weight_scale float [N/128,1,K/128,1], rounded up;
//                       [] where one block covers the matrix
//
// and input_scale, a number for quantised activations, which is not needed here. Experts are modules of their
// own. The configuration is in config.json, or in a file hf_quant_config.json: modelopt_rules.h.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class ModelOptDialect final : public Dialect {
 public:
  std::string_view name() const override { return "ModelOpt"; }
  std::span<const std::string_view> methods() const override;
  std::string_view capabilities() const override {
    return "NVFP4, W4A16_NVFP4, FP8, FP8_PC_PT, FP8_PB_WO, MIXED_PRECISION of these";
  }
  void read_rules(const ConfigFields& section, QuantizationRules& rules) const override;
  bool reads(const QuantizationScheme& scheme) const override;
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
