// Hugging Face's fine-grained FP8: quant_method "fp8" with weight_block_size [bh, bw]:
//
//   MODULE.weight                  F8_E4M3 [N,K]
//   MODULE.weight_scale_inv        float [N/bh, K/bw], rounded up; multiplies in spite of its name
//   MODULE.scale                   the same, as transformers saves mixture-of-experts models
//   experts.gate_up_proj           F8_E4M3 [E,2I,H]; experts.down_proj alike
//   experts.gate_up_proj_scale_inv float [E, 2I/bh, H/bw]
//   MODULE.activation_scale        for quantised activations: not needed here
//
// Where bh does not divide I, a block of gate_up_proj has rows of gate and of up.
//
// The quantiser leaves a matrix that the block size does not divide as it is, beside scales that were never
// written: the matrix is then plain. modules_to_not_convert are names or their ends.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class FineGrainedFp8Dialect final : public Dialect {
 public:
  std::string_view name() const override { return "fine-grained FP8"; }
  std::span<const std::string_view> methods() const override;
  std::string_view capabilities() const override { return "FP8 (per block)"; }
  void read_rules(const ConfigFields& section, QuantizationRules& rules) const override;
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
