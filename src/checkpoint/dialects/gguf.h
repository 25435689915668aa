// Tensors of GGUF files whose type is one of ggml's blocks, which hold their scales. Their names have been
// turned into Hugging Face's before (gguf_names.h); tensors of other types are plain.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class GgufDialect final : public Dialect {
 public:
  std::string_view name() const override { return "GGUF"; }
  std::span<const std::string_view> methods() const override { return {}; }
  std::string_view capabilities() const override { return "Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K"; }
  bool reads(const QuantizationScheme& /*scheme*/) const override { return false; }
  bool recognises(const Module& module) const override;
  ModuleReading read(const Module& module, const ModuleShape& shape,
                     const QuantizationConfig& quantization) const override;
};

}  // namespace beryl::checkpoint
