// AutoRound (Intel), integers of 4 or 8 bits: see integer_words.h. packing_format names the layout:
//
//   auto_round:auto_gptq                  input words, zero points less one
//   auto_round, auto_round:gptqmodel      input words, the zero points themselves
//   auto_round:auto_awq                   output words
//
// About half of the scales are negative, the last group may be short, and the router may be quantised.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class AutoRoundDialect final : public Dialect {
 public:
  std::string_view name() const override { return "auto-round"; }
  std::span<const std::string_view> methods() const override;
  std::string_view capabilities() const override {
    return "int4 and int8 in groups (GPTQ's and AWQ's packing)";
  }
  void read_rules(const ConfigFields& section, QuantizationRules& rules) const override;
  bool reads(const QuantizationScheme& scheme) const override;
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
