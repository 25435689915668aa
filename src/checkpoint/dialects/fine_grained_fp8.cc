#include "checkpoint/dialects/fine_grained_fp8.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/checked_math.h"
#include "base/error.h"
#include "checkpoint/dialects/fp8_matrices.h"
#include "checkpoint/dialects/module_reading.h"
#include "checkpoint/dialects/plain.h"
#include "formats/plain.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using nlohmann::json;

constexpr std::array<std::string_view, 1> kMethods = {"fp8"};
constexpr std::array<std::string_view, 2> kActivationSuffixes = {"activation_scale", "input_scale"};
constexpr std::string_view kStrayScale = "scale of a weight that the quantiser left unquantised";
constexpr std::string_view kLeftPlain =
    "not quantised, though it has scales: the quantiser skips what its blocks do not divide; the scales are "
    "ignored";
constexpr int64_t kBlockMax = 1 << 20;

// How the weight and its scale are called: parameters of all experts have no "weight".
struct Suffixes {
  std::string_view weight;
  std::string_view scale;
};

Suffixes suffixes_of(const Module& module, const ModuleShape& shape) {
  if (shape.experts > 0) return {.weight = "", .scale = "scale_inv"};
  const bool is_short = module.find("weight_scale_inv") == nullptr && module.find("scale") != nullptr;
  return {.weight = "weight", .scale = is_short ? "scale" : "weight_scale_inv"};
}

// All modules have blocks of one size, listed as unquantised or not.
const QuantizationScheme& block_scheme(const Module& module, const QuantizationConfig& quantization) {
  for (const QuantizationScheme& scheme : quantization.schemes()) {
    if (scheme.strategy == "block") return scheme;
  }
  fail_contradiction(module, "FP8 with scales per block",
                     quantization.is_present() ? "quantization_config has no weight_block_size"
                                               : "config.json has no quantization_config");
}

// The module without its scales, which mean nothing.
ModuleReading read_plain(Module module, const TensorRecord& scale, const ModuleShape& shape,
                         const QuantizationConfig& quantization) {
  std::erase_if(module.tensors, [&](const auto& entry) { return entry.second == &scale; });
  ModuleReading reading = PlainDialect().read(module, shape, quantization);
  reading.skipped.emplace_back(&scale, kStrayScale);
  reading.notes.push_back(kLeftPlain);
  return reading;
}

}  // namespace

std::span<const std::string_view> FineGrainedFp8Dialect::methods() const {
  return kMethods;
}

void FineGrainedFp8Dialect::read_rules(const ConfigFields& section, QuantizationRules& rules) const {
  if (!has_weight_blocks(section)) return;
  std::vector<int64_t> sizes;
  const json& block = *section.find("weight_block_size");
  for (const json& size : block.is_array() ? block : json::array()) {
    if (size.is_number_integer()) sizes.push_back(size.get<int64_t>());
  }
  const bool is_sound =
      std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size >= 1 && size <= kBlockMax; });
  if (sizes.size() != 2 || !is_sound) section.fail("weight_block_size", "two sizes of at least 1");
  rules.set_lenient();
  rules.add_ignores(section, "modules_to_not_convert", NamePattern::Style::kSuffix);
  rules.add_ignores(section, "ignored_layers", NamePattern::Style::kName);
  const size_t scheme = rules.add_scheme({.group = "fp8",
                                          .type = "float",
                                          .bits = 8,
                                          .strategy = "block",
                                          .block_rows = sizes[0],
                                          .block_cols = sizes[1],
                                          .has_static_activations = has_static_activations(section)});
  rules.add_target(NamePattern(NamePattern::Style::kName, "Linear", section.path()), scheme);
}

bool FineGrainedFp8Dialect::recognises(const Module& module) const {
  if (module.find("weight_scale_inv") != nullptr || module.find("scale_inv") != nullptr) return true;
  const TensorRecord* parameter = module.find("");
  if (parameter == nullptr) return module.find("scale") != nullptr;
  // All experts without any scale: whoever reads them has to say so.
  return parameter->dtype == DType::kF8E4M3 && module.tensors.size() == 1;
}

ModuleReading FineGrainedFp8Dialect::read(const Module& module, const ModuleShape& shape,
                                          const QuantizationConfig& quantization) const {
  const Suffixes suffixes = suffixes_of(module, shape);
  const TensorRecord& weight = require(module, suffixes.weight);
  const TensorRecord& scale = require(module, suffixes.scale);
  if (formats::is_plain(weight.dtype)) {
    // No quantiser gives a norm a scale.
    return shape.is_vector ? PlainDialect().read(module, shape, quantization)
                           : read_plain(module, scale, shape, quantization);
  }
  const std::array<std::string_view, 4> known = {suffixes.weight, suffixes.scale, kActivationSuffixes[0],
                                                 kActivationSuffixes[1]};
  check_no_other_tensors(module, known);
  check_is_matrix(module, shape);
  constexpr DType kE4m3[] = {DType::kF8E4M3};
  check_dtype(weight, kE4m3);
  check_weight_shape(weight, shape);

  const QuantizationScheme& blocks = block_scheme(module, quantization);
  std::vector<int64_t> grid = {ceil_div(shape.rows, blocks.block_rows),
                               ceil_div(shape.cols, blocks.block_cols)};
  if (shape.experts > 0) grid.insert(grid.begin(), shape.experts);
  with_context(fmt::format("weight_block_size [{},{}]", blocks.block_rows, blocks.block_cols),
               [&] { check_scale(scale, grid); });

  ModuleReading reading{.matrices = fp8_matrices(shape, weight, scale, blocks.block_rows, blocks.block_cols)};
  bool has_activation_scale = false;
  for (const std::string_view suffix : kActivationSuffixes) {
    const TensorRecord* activation_scale = module.find(suffix);
    if (activation_scale == nullptr) continue;
    reading.skipped.emplace_back(activation_scale, kActivationScaleUnused);
    has_activation_scale = true;
  }
  add_notes(module, quantization.find_scheme(module.role, module.name), has_activation_scale, reading);
  return reading;
}

}  // namespace beryl::checkpoint
