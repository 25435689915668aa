// What config.json says about quantisation: the method, and for compressed-tensors the scheme of each module.
// Only a second opinion: the tensors decide how a module is stored, and the configuration must agree.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "checkpoint/role.h"

namespace beryl::checkpoint {

// The weight scheme of one group of modules.
struct QuantizationScheme {
  std::string group;   // its name in config_groups
  std::string format;  // "float-quantized", ...
  std::string type;    // "float" or "int"
  int64_t bits = 0;
  std::string strategy;  // "tensor", "channel", "group", "block", ...
};

class QuantizationConfig {
 public:
  // No quantisation.
  QuantizationConfig();
  ~QuantizationConfig();
  QuantizationConfig(QuantizationConfig&&) noexcept;
  QuantizationConfig& operator=(QuantizationConfig&&) noexcept;

  bool is_present() const { return !method_.empty(); }
  // quant_method; "mlx" for MLX files, which have none. Empty without quantisation.
  const std::string& method() const { return method_; }
  std::span<const QuantizationScheme> schemes() const;

  // The scheme that the configuration gives a module; null when it is ignored or not targeted. Follows
  // compressed-tensors: ignore entries beat targets; targets match by full name, then by regular expression,
  // then by class, each in alphabetical order. Names are tried as published and in their current spelling.
  const QuantizationScheme* find_scheme(const Role& role, std::string_view module) const;
  // Whether the configuration says that this module is quantised. Never for the router, norms and embeddings,
  // which stay as they are whatever class-wide targets claim.
  bool expects_quantised(const Role& role, std::string_view module) const;

 private:
  friend QuantizationConfig parse_quantization_config(const nlohmann::json& config, std::string_view source);
  class Matcher;

  std::string method_;
  std::unique_ptr<Matcher> matcher_;
};

// Reads quantization_config (or its older names and places) from the parsed config.json.
// Errors: kInvalidInput for malformed entries. Methods that no dialect reads are not an error here.
QuantizationConfig parse_quantization_config(const nlohmann::json& config, std::string_view source);

}  // namespace beryl::checkpoint
