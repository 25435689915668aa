// AWQ (AutoAWQ, AutoRound's export), integers of 4 bits in output words ("gemm"): see integer_words.h. The
// file holds the zero points themselves.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class AwqDialect final : public Dialect {
 public:
  std::string_view name() const override { return "awq"; }
  std::span<const std::string_view> methods() const override;
  std::string_view capabilities() const override { return "int4 in groups (gemm)"; }
  void read_rules(const ConfigFields& section, QuantizationRules& rules) const override;
  bool reads(const QuantizationScheme& scheme) const override;
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
