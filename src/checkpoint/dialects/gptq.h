// GPTQ (GPTQModel, AutoGPTQ), integers of 4 or 8 bits in input words: see integer_words.h. Where
// checkpoint_format is "gptq" the file holds each zero point less one, in "gptq_v2" the zero point itself.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class GptqDialect final : public Dialect {
 public:
  std::string_view name() const override { return "gptq"; }
  std::span<const std::string_view> methods() const override;
  std::string_view capabilities() const override { return "int4 and int8 in groups, any activation order"; }
  void read_rules(const ConfigFields& section, QuantizationRules& rules) const override;
  bool reads(const QuantizationScheme& scheme) const override;
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
