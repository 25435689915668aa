#include "checkpoint/dialects/modelopt_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace beryl::checkpoint {
namespace {

using nlohmann::json;
using Style = NamePattern::Style;

constexpr int64_t kGroupMax = 1 << 20;
constexpr int64_t kBitsMax = 64;
constexpr int64_t kNvGroup = 16;
constexpr int64_t kBlock = 128;

struct Algorithm {
  std::string_view name;
  bool is_read = false;
  std::string_view type;
  int64_t bits = 0;
  std::string_view strategy;
  int64_t group_size = 0;
  bool has_static_activations = false;
};

constexpr std::array kAlgorithms = {
    Algorithm{"FP8", true, "float", 8, "tensor", 0, true},
    Algorithm{"FP8_PC_PT", true, "float", 8, "channel"},
    Algorithm{"FP8_PER_CHANNEL_PER_TOKEN", true, "float", 8, "channel"},
    Algorithm{"FP8_PB_WO", true, "float", 8, "block"},
    Algorithm{"NVFP4", true, "float", 4, "tensor_group", kNvGroup, true},
    Algorithm{"W4A16_NVFP4", true, "float", 4, "tensor_group", kNvGroup},
    // Known, so that messages say more than the name. They scale inputs, add matrices of low rank, or come in
    // layouts that no file has shown.
    Algorithm{"NVFP4_AWQ", false, "float", 4, "tensor_group", kNvGroup},
    Algorithm{"NVFP4_SVD", false, "float", 4, "tensor_group", kNvGroup},
    Algorithm{"NVFP4_SVDQUANT", false, "float", 4, "tensor_group", kNvGroup},
    Algorithm{"W4A8_NVFP4_FP8", false, "float", 4, "tensor_group", kNvGroup},
    Algorithm{"W4A8_AWQ", false, "int", 4, "group"},
    Algorithm{"W4A16_AWQ", false, "int", 4, "group"},
    Algorithm{"INT4_AWQ", false, "int", 4, "group"},
    Algorithm{"MXFP4", false, "float", 4, "group"},
    Algorithm{"W4A8_MXFP4_FP8", false, "float", 4, "group"},
    Algorithm{"MXFP8", false, "float", 8, "group"},
};

const Algorithm* find_algorithm(std::string_view name) {
  const auto position = std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                                     [&](const Algorithm& algorithm) { return algorithm.name == name; });
  return position == kAlgorithms.end() ? nullptr : &*position;
}

// Some names come in small letters: "fp8_pb_wo".
std::string in_capitals(std::string_view text) {
  std::string capitals(text);
  for (char& c : capitals) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return capitals;
}

void read_group_size(const ConfigFields& fields, QuantizationScheme& scheme) {
  const std::optional<int64_t> size = fields.find_integer("group_size", 0, kGroupMax);
  if (size && scheme.strategy != "tensor" && scheme.strategy != "channel" && scheme.strategy != "block") {
    scheme.group_size = *size;
  }
}

// What a group that does not name its algorithm must be.
std::string_view algorithm_of(const QuantizationScheme& scheme) {
  if (scheme.type == "float" && scheme.bits == 8 && scheme.group_size == 0) return "FP8";
  if (scheme.type == "float" && scheme.bits == 4 && scheme.group_size == kNvGroup) {
    return scheme.has_static_activations ? "NVFP4" : "W4A16_NVFP4";
  }
  return "";
}

QuantizationScheme scheme_of_group(const ConfigFields& group, std::string_view algorithm) {
  QuantizationScheme scheme = modelopt_scheme(algorithm);
  // The groups of algorithms that are not read need not look like the others.
  if (!algorithm.empty() && !reads_modelopt_algorithm(scheme.format)) return scheme;
  const json* weights = group.find("weights");
  if (weights == nullptr) group.fail("weights", "an object");
  const ConfigFields fields(*weights, group.path() + ": weights");
  scheme.type = fields.find_string("type").value_or("float");
  scheme.bits = fields.integer("num_bits", 1, kBitsMax);
  read_group_size(fields, scheme);
  const json* activations = group.find("input_activations");
  scheme.has_static_activations =
      activations != nullptr &&
      !ConfigFields(*activations, group.path() + ": input_activations").find_bool("dynamic").value_or(false);
  if (algorithm.empty()) {
    const std::string_view found = algorithm_of(scheme);
    scheme.format = found.empty() ? fmt::format("{}{}", scheme.type, scheme.bits) : std::string(found);
    // Without a name, scales per tensor and per row are described alike.
    if (scheme.bits == 4 && !found.empty()) scheme.strategy = "tensor_group";
  }
  return scheme;
}

void read_group(const ConfigFields& group, const std::string& name, std::string_view algorithm,
                QuantizationRules& rules) {
  const std::string own = in_capitals(group.find_string("quant_algo").value_or(std::string(algorithm)));
  QuantizationScheme scheme = scheme_of_group(group, own);
  scheme.group = name;
  const size_t index = rules.add_scheme(std::move(scheme));
  const json* targets = group.find("targets");
  if (targets == nullptr) {
    rules.add_target(NamePattern(Style::kName, "Linear", group.path()), index);
    return;
  }
  if (!targets->is_array()) group.fail("targets", "a list of names");
  for (const json& target : *targets) {
    if (!target.is_string()) group.fail("targets", "a list of names");
    rules.add_target(NamePattern(Style::kWildcard, target.get<std::string>(), group.path() + ": targets"),
                     index);
  }
}

void read_groups(const json& groups, const std::string& path, std::string_view algorithm,
                 QuantizationRules& rules) {
  const ConfigFields all(groups, path + ": config_groups");
  for (const auto& [name, group] : groups.items()) {
    read_group(ConfigFields(group, fmt::format("{}: {}", all.path(), name)), name, algorithm, rules);
  }
}

void read_layers(const json& layers, const std::string& path, QuantizationRules& rules) {
  const ConfigFields all(layers, path + ": quantized_layers");
  std::map<std::pair<std::string, int64_t>, size_t> schemes;  // by algorithm and group size
  for (const auto& [name, layer] : layers.items()) {
    const ConfigFields fields(layer, fmt::format("{}: {}", all.path(), name));
    const std::optional<std::string> algorithm = fields.find_string("quant_algo");
    if (!algorithm) fields.fail("quant_algo", "the name of an algorithm");
    QuantizationScheme scheme = modelopt_scheme(*algorithm);
    scheme.group = "quantized_layers";
    read_group_size(fields, scheme);
    const auto [position, is_new] =
        schemes.try_emplace(std::pair(scheme.format, scheme.group_size), rules.schemes().size());
    if (is_new) rules.add_scheme(std::move(scheme));
    rules.add_target(NamePattern(Style::kWildcard, name, all.path()), position->second);
  }
}

}  // namespace

QuantizationScheme modelopt_scheme(std::string_view algorithm) {
  QuantizationScheme scheme;
  scheme.format = in_capitals(algorithm);
  scheme.group = scheme.format;
  const Algorithm* known = find_algorithm(scheme.format);
  if (known == nullptr) return scheme;
  scheme.type = known->type;
  scheme.bits = known->bits;
  scheme.strategy = known->strategy;
  scheme.group_size = known->group_size;
  if (scheme.strategy == "block") scheme.block_rows = scheme.block_cols = kBlock;
  scheme.has_static_activations = known->has_static_activations;
  return scheme;
}

bool reads_modelopt_algorithm(std::string_view algorithm) {
  const Algorithm* known = find_algorithm(algorithm);
  return known != nullptr && known->is_read;
}

void read_modelopt_rules(const ConfigFields& section, QuantizationRules& rules) {
  rules.add_ignores(section, "ignore", Style::kWildcard);
  rules.add_ignores(section, "exclude_modules", Style::kWildcard);
  const std::optional<std::string> algorithm = section.find_string("quant_algo");
  const bool is_mixed = algorithm && in_capitals(*algorithm) == "MIXED_PRECISION";
  if (const json* layers = section.find("quantized_layers"); is_mixed && layers != nullptr) {
    read_layers(*layers, section.path(), rules);
  } else if (const json* groups = section.find("config_groups")) {
    read_groups(*groups, section.path(), is_mixed ? "" : algorithm.value_or(""), rules);
  } else if (is_mixed) {
    section.fail("quantized_layers", "the algorithm of each module");
  } else if (algorithm) {
    QuantizationScheme scheme = modelopt_scheme(*algorithm);
    read_group_size(section, scheme);
    rules.add_target(NamePattern(Style::kName, "Linear", section.path()),
                     rules.add_scheme(std::move(scheme)));
  } else if (!section.contains("quant_algo")) {
    // Null stands for weights that are not quantised, beside a cache that is.
    section.fail("quant_algo", "the name of an algorithm");
  }
}

}  // namespace beryl::checkpoint
