// What a model's configuration says about quantisation: the method, and the scheme of each module. Only a
// second opinion: the tensors decide how a module is stored, and the configuration must agree.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "checkpoint/config_fields.h"
#include "checkpoint/name_pattern.h"
#include "checkpoint/role.h"

namespace beryl::checkpoint {

// How the weights of some modules are said to be stored.
struct QuantizationScheme {
  std::string group;       // its name in the configuration, for messages
  std::string format;      // "float-quantized", ...; empty where the method has no such word
  std::string type;        // "float" or "int"
  int64_t bits = 0;        // of a code
  std::string strategy;    // "tensor", "channel", "group", "block", ...; empty when unsaid
  int64_t group_size = 0;  // inputs under one scale; 0 when unsaid
  int64_t block_rows = 0;  // of strategy "block"
  int64_t block_cols = 0;
  bool is_symmetric = true;
  bool has_group_index = false;  // groups are not runs of inputs (actorder)
  // Activations are quantised by scales that the file holds.
  bool has_static_activations = false;
};

// The scheme of each module, as lists of names.
class QuantizationRules {
 public:
  // Returns the position of the scheme, for add_target().
  size_t add_scheme(QuantizationScheme scheme);
  // Modules that the pattern matches, or whose class ("Linear", "Embedding") it names, have that scheme.
  // A scheme of -1 is: not quantised.
  void add_target(NamePattern pattern, std::optional<size_t> scheme);
  // Modules that are not quantised, whatever the targets say.
  void add_ignore(NamePattern pattern);
  // One pattern for each string of a list field; nothing when it is absent.
  void add_ignores(const ConfigFields& fields, std::string_view name, NamePattern::Style style);
  // A module that the rules call quantised may be stored unquantised: tools of this kind skip modules without
  // saying so.
  void set_lenient() { is_lenient_ = true; }

  std::span<const QuantizationScheme> schemes() const { return schemes_; }
  bool is_lenient() const { return is_lenient_; }
  // Follows compressed-tensors: ignore entries beat targets; targets match by full name, then by regular
  // expression, then by class, each in alphabetical order. Names are tried as published and in their current
  // spelling. Null when the module is ignored or not targeted.
  const QuantizationScheme* find(const Role& role, std::string_view module) const;

 private:
  struct Target {
    NamePattern pattern;
    std::optional<size_t> scheme;
  };

  std::vector<NamePattern> ignore_;
  std::vector<Target> targets_;  // in the order in which they are tried
  std::vector<QuantizationScheme> schemes_;
  bool is_lenient_ = false;
};

class QuantizationConfig {
 public:
  bool is_present() const { return !method_.empty(); }
  // quant_method; "mlx" for MLX files, which have none. Empty without quantisation.
  const std::string& method() const { return method_; }
  const QuantizationRules& rules() const { return rules_; }
  std::span<const QuantizationScheme> schemes() const { return rules_.schemes(); }

  // The scheme that the configuration gives a module; null when it is ignored or not targeted.
  const QuantizationScheme* find_scheme(const Role& role, std::string_view module) const {
    return rules_.find(role, module);
  }
  // Whether the configuration says that this module is quantised, and means it. Never for the router, norms
  // and embeddings, which stay as they are whatever class-wide targets claim.
  bool expects_quantised(const Role& role, std::string_view module) const;

 private:
  friend QuantizationConfig parse_quantization_config(const nlohmann::json& config, std::string_view source);

  std::string method_;
  QuantizationRules rules_;
};

// Reads quantization_config (or its older names and places) from the parsed config.json; the dialect that
// owns the method reads its rules. `hf_quant_config.json`, wrapped as {"quantization_config": ...}, is read
// alike. Errors: kInvalidInput for malformed entries. Methods that no dialect reads are not an error here.
QuantizationConfig parse_quantization_config(const nlohmann::json& config, std::string_view source);

}  // namespace beryl::checkpoint
