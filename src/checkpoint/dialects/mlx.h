// MLX (mlx-lm, mlx-vlm), affine integers of 4, 5, 6 or 8 bits. Tensors of a module of N rows and K inputs in
// groups of g:
//
//   weight          U32 [N, K*bits/32]: each row one run of codes from the low bits up
//   scales, biases  float [N, K/g]
//
// value[n, k] = scale * code + bias; scales may be negative. The experts of a layer are stacked, one tensor
// for each of gate, up and down: [E, N, ..]. The configuration's key is "quantization", with an entry for
// each module that differs; embeddings and routers are quantised too.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class MlxDialect final : public Dialect {
 public:
  std::string_view name() const override { return "mlx"; }
  std::span<const std::string_view> methods() const override;
  std::string_view capabilities() const override { return "affine integers of 4, 5, 6 and 8 bits"; }
  void read_rules(const ConfigFields& section, QuantizationRules& rules) const override;
  bool reads(const QuantizationScheme& scheme) const override;
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
