#include "checkpoint/quantization_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {
namespace {

using nlohmann::json;

// The class that quantisation tools see a module as.
std::string_view tool_class_of(Part part) {
  return part == Part::kEmbedding || part == Part::kPerLayerEmbedding ? "Embedding" : "Linear";
}

// The names under which a module may be listed.
std::vector<std::string> names_of(const Role& role, std::string_view module) {
  Role listed = role;
  // All experts in one tensor are no module; the lists speak of single experts.
  if (const auto part = part_of_one_expert(role.part)) listed = {*part, role.layer, 0};
  return {std::string(module), "model.language_model." + role_name(listed), "model." + role_name(listed),
          role_name(listed)};
}

bool matches_any(const NamePattern& pattern, std::span<const std::string> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return pattern.matches(name); });
}

}  // namespace

size_t QuantizationRules::add_scheme(QuantizationScheme scheme) {
  schemes_.push_back(std::move(scheme));
  return schemes_.size() - 1;
}

void QuantizationRules::add_target(NamePattern pattern, std::optional<size_t> scheme) {
  const auto key = [](const NamePattern& p) {
    return std::pair(p.is_expression(), std::string_view(p.text()));
  };
  const auto position =
      std::upper_bound(targets_.begin(), targets_.end(), key(pattern),
                       [&](const auto& value, const Target& target) { return value < key(target.pattern); });
  targets_.insert(position, {std::move(pattern), scheme});
}

void QuantizationRules::add_ignore(NamePattern pattern) {
  ignore_.push_back(std::move(pattern));
}

void QuantizationRules::add_ignores(const ConfigFields& fields, std::string_view name,
                                    NamePattern::Style style) {
  const json* list = fields.find(name);
  if (list == nullptr) return;
  if (!list->is_array()) fields.fail(name, "a list of names");
  for (const json& entry : *list) {
    if (!entry.is_string()) fields.fail(name, "a list of names");
    add_ignore(NamePattern(style, entry.get<std::string>(), fmt::format("{}: {}", fields.path(), name)));
  }
}

const QuantizationScheme* QuantizationRules::find(const Role& role, std::string_view module) const {
  if (targets_.empty()) return nullptr;
  const std::vector<std::string> names = names_of(role, module);
  const std::string_view class_name = tool_class_of(role.part);
  for (const NamePattern& pattern : ignore_) {
    if (pattern.text() == class_name || matches_any(pattern, names)) return nullptr;
  }
  const auto scheme_of = [&](const Target& target) {
    return target.scheme ? &schemes_[*target.scheme] : nullptr;
  };
  for (const Target& target : targets_) {
    if (matches_any(target.pattern, names)) return scheme_of(target);
  }
  for (const Target& target : targets_) {
    if (target.pattern.text() == class_name) return scheme_of(target);
  }
  return nullptr;
}

bool QuantizationConfig::expects_quantised(const Role& role, std::string_view module) const {
  if (rules_.is_lenient()) return false;
  switch (class_of(role.part)) {
    case PartClass::kPerLayerInputs:
    case PartClass::kAttention:
    case PartClass::kDenseMlp:
    case PartClass::kExperts:
    case PartClass::kHead:
      return find_scheme(role, module) != nullptr;
    default:
      return false;
  }
}

QuantizationConfig parse_quantization_config(const json& config, std::string_view source) {
  QuantizationConfig result;
  const ConfigFields top(config, std::string(source));
  std::string place = "quantization_config";
  const json* section = top.find("quantization_config");
  if (section == nullptr) section = top.find("compression_config");
  if (section == nullptr) {
    if (const json* text = top.find("text_config"); text != nullptr && text->is_object()) {
      section = ConfigFields(*text, "").find("quantization_config");
    }
  }
  // MLX has a key of its own, which it writes a second time under the common name.
  const json* mlx = top.find("quantization");
  const bool is_mlx =
      mlx != nullptr && (section == nullptr || !ConfigFields(*section, place).contains("quant_method"));
  if (is_mlx) {
    section = mlx;
    place = "quantization";
  }
  if (section == nullptr) return result;
  const ConfigFields fields(*section, fmt::format("{}: {}", source, place));
  const std::optional<std::string> method = is_mlx ? "mlx" : fields.find_string("quant_method");
  if (!method) fields.fail("quant_method", "the name of a quantisation method");
  result.method_ = *method;
  for (const Dialect* dialect : all_dialects()) {
    if (dialect->owns_method(*method)) dialect->read_rules(fields, result.rules_);
  }
  return result;
}

}  // namespace beryl::checkpoint
