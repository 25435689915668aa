// bitsandbytes, NF4. Tensors of a module of N rows and K inputs, taken as one run of N*K elements in blocks
// of b:
//
//   weight                                U8 [N*K/2, 1], the first of two codes in the high half of a byte
//   weight.quant_map                      F32 [16]: the table of NF4
//   weight.absmax                         F32 [N*K/b]: the scale of each block
//   weight.quant_state.bitsandbytes__nf4  U8: JSON with the block sizes, the shape and the offset
//
// and where absmax is quantised too, so that scale = nested_quant_map[absmax] * nested_absmax + offset:
//
//   weight.absmax                         U8 [N*K/b]
//   weight.nested_quant_map               F32 [256]
//   weight.nested_absmax                  F32, one for each run of absmax
//
// Fused experts are no modules to this tool and stay as they are.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class BitsAndBytesDialect final : public Dialect {
 public:
  std::string_view name() const override { return "bitsandbytes"; }
  std::span<const std::string_view> methods() const override;
  std::string_view capabilities() const override { return "NF4, with plain and quantised scales"; }
  void read_rules(const ConfigFields& section, QuantizationRules& rules) const override;
  bool reads(const QuantizationScheme& scheme) const override;
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
