// Unquantised weights: one tensor a module, bf16, f16 or f32; experts one by one or all in one 3-D tensor.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class PlainDialect final : public Dialect {
 public:
  std::string_view name() const override { return "plain"; }
  std::span<const std::string_view> methods() const override { return {}; }
  std::string_view capabilities() const override { return "bf16, f16, f32"; }
  bool reads(const QuantizationScheme& /*scheme*/) const override { return false; }
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
