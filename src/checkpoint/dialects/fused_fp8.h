// FP8 experts of a checkpoint that has no quantization_config:
//
//   experts.gate_up_proj        F8_E4M3 [E,2I,H]
//   experts.gate_up_proj_scale  float [E,2I] or [E,2I,1]: one number a row of each expert; multiplies.
//                               experts.down_proj alike
//
// The scale may be called otherwise: it is known by its shape.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class FusedFp8Dialect final : public Dialect {
 public:
  std::string_view name() const override { return "fused FP8"; }
  std::span<const std::string_view> methods() const override { return {}; }
  std::string_view capabilities() const override { return "FP8 experts in one tensor (per row)"; }
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
