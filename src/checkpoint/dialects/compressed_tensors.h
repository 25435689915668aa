// compressed-tensors (llm-compressor, vLLM). Tensors of a module of N rows and K inputs:
//
//   FP8         weight F8_E4M3 [N,K]
//               weight_scale float: [N] or [N,1], [] or [1], or [N/bh,K/bw] rounded up
//   MXFP8       weight F8_E4M3 [N,K], weight_scale U8 (E8M0) [N,K/32]
//   int8        weight I8 [N,K], weight_scale as FP8's
//   NVFP4       weight_packed U8 [N,K/2], weight_scale F8_E4M3 [N,K/16]
//               weight_global_scale F32 [1], which divides
//   MXFP4       weight_packed U8 [N,K/2], weight_scale U8 [N,K/32]
//   int4, int8  weight_packed I32 [N,K*bits/32], weight_scale float [N,K/g] or [N,1]
//               where needed: weight_zero_point I32 [N*bits/32,K/g]
//               weight_g_idx I32 [K], weight_shape I64 [2]
//
// and input_scale or input_global_scale for quantised activations, which are not needed here. Experts are
// modules of their own, or 3-D parameters whose suffixes follow an underscore: down_proj_packed [E,N,..].
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class CompressedTensorsDialect final : public Dialect {
 public:
  std::string_view name() const override { return "compressed-tensors"; }
  std::span<const std::string_view> methods() const override;
  std::string_view capabilities() const override {
    return "FP8 (per row, tensor, block), NVFP4, MXFP4, MXFP8, int4 and int8";
  }
  void read_rules(const ConfigFields& section, QuantizationRules& rules) const override;
  bool reads(const QuantizationScheme& scheme) const override;
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
