#include "checkpoint/dialects/auto_fp8.h"

#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "checkpoint/dialects/fp8_matrices.h"
#include "checkpoint/dialects/module_reading.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;

constexpr std::array<std::string_view, 1> kMethods = {"fp8"};
constexpr std::array<std::string_view, 3> kSuffixes = {"weight", "weight_scale", "input_scale"};

// Rows under one scale.
int64_t rows_of_scale(const TensorRecord& scale, const ModuleShape& shape) {
  constexpr DType kFloats[] = {DType::kF32, DType::kBf16, DType::kF16};
  check_dtype(scale, kFloats);
  if (is_scalar(scale)) return shape.rows;
  const std::vector<int64_t>& s = scale.shape;
  const bool is_column = s.size() == 1 || (s.size() == 2 && s[1] == 1);
  if (is_column && s[0] == shape.rows) return 1;
  throw Error(
      ErrorCode::kInvalidInput,
      fmt::format("scale '{}' has shape {}, expected [] or [1] (per tensor), [{}] or [{},1] (per row)",
                  scale.name, shape_text(s), shape.rows, shape.rows),
      "scales per block are understood where quantization_config has weight_block_size and the "
      "tensor is called weight_scale_inv");
}

}  // namespace

std::span<const std::string_view> AutoFp8Dialect::methods() const {
  return kMethods;
}

void AutoFp8Dialect::read_rules(const ConfigFields& section, QuantizationRules& rules) const {
  if (has_weight_blocks(section)) return;
  rules.set_lenient();
  rules.add_ignores(section, "ignored_layers", NamePattern::Style::kName);
  rules.add_ignores(section, "modules_to_not_convert", NamePattern::Style::kSuffix);
  const size_t scheme = rules.add_scheme({.group = "fp8",
                                          .type = "float",
                                          .bits = 8,
                                          .strategy = "tensor",
                                          .has_static_activations = has_static_activations(section)});
  rules.add_target(NamePattern(NamePattern::Style::kName, "Linear", section.path()), scheme);
}

bool AutoFp8Dialect::recognises(const Module& module) const {
  const TensorRecord* weight = module.find("weight");
  if (weight == nullptr) return module.find("") == nullptr && module.find("weight_scale") != nullptr;
  return weight->dtype == DType::kF8E4M3;
}

ModuleReading AutoFp8Dialect::read(const Module& module, const ModuleShape& shape,
                                   const QuantizationConfig& quantization) const {
  const TensorRecord& weight = require(module, "weight");
  const QuantizationScheme* scheme = quantization.find_scheme(module.role, module.name);
  const bool has_blocks = scheme != nullptr && scheme->strategy == "block";
  // The tensor that this checkpoint lacks, where it has scales per block elsewhere.
  if (has_blocks && module.find("weight_scale") == nullptr) require(module, "weight_scale_inv");
  const TensorRecord& scale = require(module, "weight_scale");
  check_no_other_tensors(module, kSuffixes);
  check_is_matrix(module, shape);
  check_weight_shape(weight, shape);
  const int64_t tile_rows = rows_of_scale(scale, shape);
  if (!quantization.is_present()) {
    fail_contradiction(module, "FP8", "config.json has no quantization_config");
  }
  if (has_blocks) {
    fail_contradiction(module, "FP8 with weight_scale", "quantization_config has weight_block_size");
  }
  ModuleReading reading{.matrices = fp8_matrices(shape, weight, scale, tile_rows, shape.cols)};
  const TensorRecord* input_scale = module.find("input_scale");
  if (input_scale != nullptr) reading.skipped.emplace_back(input_scale, kActivationScaleUnused);
  add_notes(module, scheme, input_scale != nullptr, reading);
  return reading;
}

}  // namespace beryl::checkpoint
