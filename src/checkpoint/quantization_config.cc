#include "checkpoint/quantization_config.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "checkpoint/config_fields.h"

namespace beryl::checkpoint {
namespace {

using nlohmann::json;

constexpr size_t kPatternBytesMax = 4096;
constexpr int64_t kPatternMemoryBytes = 1 << 20;

// One entry of a targets or ignore list: a module name, a class name, or "re:" and an expression that must
// match from the start of the module name.
class NamePattern {
 public:
  NamePattern(std::string text, std::string_view source) : text_(std::move(text)) {
    if (!is_expression()) return;
    if (text_.size() > kPatternBytesMax) {
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: pattern of {} bytes, at most {} are allowed",
                                                        source, text_.size(), kPatternBytesMax));
    }
    re2::RE2::Options options;
    options.set_max_mem(kPatternMemoryBytes);
    options.set_log_errors(false);
    expression_ = std::make_unique<re2::RE2>(text_.substr(3), options);
    if (!expression_->ok()) {
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: pattern \"{}\" cannot be understood: {}", source,
                                                        text_, expression_->error()));
    }
  }

  const std::string& text() const { return text_; }
  bool is_expression() const { return text_.starts_with("re:"); }
  bool matches_name(std::string_view name) const {
    if (!is_expression()) return name == text_;
    return expression_->Match(name, 0, name.size(), re2::RE2::ANCHOR_START, nullptr, 0);
  }

 private:
  std::string text_;
  std::unique_ptr<re2::RE2> expression_;  // null for plain names
};

// The class that compressed-tensors sees a module as.
std::string_view class_of(Part part) {
  return part == Part::kEmbedding || part == Part::kPerLayerEmbedding ? "Embedding" : "Linear";
}

// The names under which a module may be listed.
std::vector<std::string> names_of(const Role& role, std::string_view module) {
  Role listed = role;
  // All experts in one tensor are no module; the lists speak of single experts.
  if (role.part == Part::kFusedExpertsGateUp) listed = {Part::kExpertGate, role.layer, 0};
  if (role.part == Part::kFusedExpertsDown) listed = {Part::kExpertDown, role.layer, 0};
  return {std::string(module), "model.language_model." + role_name(listed), "model." + role_name(listed),
          role_name(listed)};
}

std::vector<NamePattern> parse_patterns(const ConfigFields& fields, std::string_view name) {
  std::vector<NamePattern> patterns;
  const json* list = fields.find(name);
  if (list == nullptr) return patterns;
  if (!list->is_array()) fields.fail(name, "a list of names");
  for (const json& entry : *list) {
    if (!entry.is_string()) fields.fail(name, "a list of names");
    patterns.emplace_back(entry.get<std::string>(), fmt::format("{}: {}", fields.path(), name));
  }
  return patterns;
}

}  // namespace

class QuantizationConfig::Matcher {
 public:
  Matcher(const ConfigFields& fields) : ignore_(parse_patterns(fields, "ignore")) {
    const json* groups = fields.find("config_groups");
    if (groups == nullptr) return;
    const std::string format = fields.find_string("format").value_or("");
    const ConfigFields group_fields(*groups, fields.path() + ": config_groups");
    for (const auto& [name, group] : groups->items()) {
      add_group(ConfigFields(group, fmt::format("{}: {}", group_fields.path(), name)), name, format);
    }
    // Plain names before expressions, each alphabetically; classes are tried last whatever they are called.
    std::sort(targets_.begin(), targets_.end(), [](const Target& a, const Target& b) {
      return std::pair(a.pattern.is_expression(), std::string_view(a.pattern.text())) <
             std::pair(b.pattern.is_expression(), std::string_view(b.pattern.text()));
    });
  }

  std::span<const QuantizationScheme> schemes() const { return schemes_; }

  const QuantizationScheme* find(const Role& role, std::string_view module) const {
    const std::vector<std::string> names = names_of(role, module);
    const std::string_view class_name = class_of(role.part);
    for (const NamePattern& pattern : ignore_) {
      if (pattern.text() == class_name || matches_any(pattern, names)) return nullptr;
    }
    for (const Target& target : targets_) {
      if (matches_any(target.pattern, names)) return &schemes_[target.scheme];
    }
    for (const Target& target : targets_) {
      if (target.pattern.text() == class_name) return &schemes_[target.scheme];
    }
    return nullptr;
  }

 private:
  struct Target {
    NamePattern pattern;
    size_t scheme;
  };

  static bool matches_any(const NamePattern& pattern, std::span<const std::string> names) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return pattern.matches_name(name); });
  }

  void add_group(const ConfigFields& group, const std::string& name, const std::string& default_format) {
    const json* weights = group.find("weights");
    if (weights == nullptr) return;  // a group that quantises activations or the cache only
    const ConfigFields fields(*weights, group.path() + ": weights");
    QuantizationScheme scheme;
    scheme.group = name;
    scheme.format = group.find_string("format").value_or(default_format);
    scheme.type = fields.find_string("type").value_or("int");
    scheme.bits = fields.find_integer("num_bits", 1, 64).value_or(8);
    const std::optional<int64_t> group_size = fields.find_integer("group_size", -1, 1 << 20);
    const std::string_view default_strategy =
        !group_size ? "tensor" : (*group_size == -1 ? "channel" : "group");
    scheme.strategy = fields.find_string("strategy").value_or(std::string(default_strategy));
    for (NamePattern& pattern : parse_patterns(group, "targets")) {
      targets_.push_back({std::move(pattern), schemes_.size()});
    }
    schemes_.push_back(std::move(scheme));
  }

  std::vector<NamePattern> ignore_;
  std::vector<Target> targets_;
  std::vector<QuantizationScheme> schemes_;
};

QuantizationConfig::QuantizationConfig() = default;
QuantizationConfig::~QuantizationConfig() = default;
QuantizationConfig::QuantizationConfig(QuantizationConfig&&) noexcept = default;
QuantizationConfig& QuantizationConfig::operator=(QuantizationConfig&&) noexcept = default;

std::span<const QuantizationScheme> QuantizationConfig::schemes() const {
  return matcher_ ? matcher_->schemes() : std::span<const QuantizationScheme>();
}

const QuantizationScheme* QuantizationConfig::find_scheme(const Role& role, std::string_view module) const {
  return matcher_ ? matcher_->find(role, module) : nullptr;
}

bool QuantizationConfig::expects_quantised(const Role& role, std::string_view module) const {
  switch (role.part) {
    case Part::kHead:
    case Part::kPerLayerModelProjection:
    case Part::kPerLayerInputGate:
    case Part::kPerLayerProjection:
    case Part::kQ:
    case Part::kK:
    case Part::kV:
    case Part::kO:
    case Part::kGate:
    case Part::kUp:
    case Part::kDown:
    case Part::kExpertGate:
    case Part::kExpertUp:
    case Part::kExpertDown:
    case Part::kFusedExpertsGateUp:
    case Part::kFusedExpertsDown:
      return find_scheme(role, module) != nullptr;
    default:
      return false;
  }
}

QuantizationConfig parse_quantization_config(const json& config, std::string_view source) {
  QuantizationConfig result;
  const ConfigFields top(config, std::string(source));
  const json* section = top.find("quantization_config");
  if (section == nullptr) section = top.find("compression_config");
  if (section == nullptr) {
    if (const json* text = top.find("text_config"); text != nullptr && text->is_object()) {
      section = ConfigFields(*text, "").find("quantization_config");
    }
  }
  const bool is_mlx = top.find("quantization") != nullptr;
  if (section == nullptr) {
    if (is_mlx) result.method_ = "mlx";
    return result;
  }
  const ConfigFields fields(*section, top.path() + ": quantization_config");
  std::optional<std::string> method = fields.find_string("quant_method");
  // MLX writes its own key twice, the second time under this name.
  if (!method && is_mlx) method = "mlx";
  if (!method) fields.fail("quant_method", "the name of a quantisation method");
  result.method_ = *method;
  if (result.method_ == "compressed-tensors")
    result.matcher_ = std::make_unique<QuantizationConfig::Matcher>(fields);
  return result;
}

}  // namespace beryl::checkpoint
