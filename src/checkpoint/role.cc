#include "checkpoint/role.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace beryl::checkpoint {
namespace {

struct PartName {
  std::string_view name;
  Part part;
};

// Modules of the whole model, below the prefix.
constexpr std::array kModelParts = {
    PartName{"embed_tokens", Part::kEmbedding},
    PartName{"lm_head", Part::kHead},
    PartName{"norm", Part::kFinalNorm},
    PartName{"embed_tokens_per_layer", Part::kPerLayerEmbedding},
    PartName{"per_layer_model_projection", Part::kPerLayerModelProjection},
    PartName{"per_layer_projection_norm", Part::kPerLayerProjectionNorm},
};

// Modules of a layer, below "layers.N.".
constexpr std::array kLayerParts = {
    PartName{"input_layernorm", Part::kInputNorm},
    PartName{"post_attention_layernorm", Part::kPostAttentionNorm},
    PartName{"pre_feedforward_layernorm", Part::kPreFeedForwardNorm},
    PartName{"post_feedforward_layernorm", Part::kPostFeedForwardNorm},
    PartName{"pre_feedforward_layernorm_2", Part::kPreFeedForwardNorm2},
    PartName{"post_feedforward_layernorm_1", Part::kPostFeedForwardNorm1},
    PartName{"post_feedforward_layernorm_2", Part::kPostFeedForwardNorm2},
    PartName{"self_attn.q_proj", Part::kQ},
    PartName{"self_attn.k_proj", Part::kK},
    PartName{"self_attn.v_proj", Part::kV},
    PartName{"self_attn.o_proj", Part::kO},
    PartName{"self_attn.q_norm", Part::kQNorm},
    PartName{"self_attn.k_norm", Part::kKNorm},
    PartName{"mlp.gate_proj", Part::kGate},
    PartName{"mlp.up_proj", Part::kUp},
    PartName{"mlp.down_proj", Part::kDown},
    PartName{"layer_scalar", Part::kLayerScalar},
    PartName{"per_layer_input_gate", Part::kPerLayerInputGate},
    PartName{"per_layer_projection", Part::kPerLayerProjection},
    PartName{"post_per_layer_input_norm", Part::kPostPerLayerInputNorm},
    PartName{"router.proj", Part::kRouterProjection},
    PartName{"router.scale", Part::kRouterScale},
    PartName{"router.per_expert_scale", Part::kPerExpertScale},
    PartName{"moe.per_expert_scale", Part::kPerExpertScale},  // before the final layout
};

// Modules of one expert, below "experts.E.".
constexpr std::array kExpertParts = {
    PartName{"gate_proj", Part::kExpertGate},
    PartName{"up_proj", Part::kExpertUp},
    PartName{"down_proj", Part::kExpertDown},
};

// Parameters that hold all experts, below "experts.": their suffix follows an underscore, for want of a
// module.
constexpr std::array kFusedParts = {
    PartName{"gate_up_proj", Part::kFusedExpertsGateUp},
    PartName{"down_proj", Part::kFusedExpertsDown},
};

// Modules that hold all experts, below "experts." (MLX).
constexpr std::array kStackedParts = {
    PartName{"switch_glu.gate_proj", Part::kFusedExpertsGate},
    PartName{"switch_glu.up_proj", Part::kFusedExpertsUp},
    PartName{"switch_glu.down_proj", Part::kFusedExpertsDown},
};

constexpr std::array<std::string_view, 4> kPrefixes = {"model.language_model.", "language_model.model.",
                                                       "language_model.", "model."};

constexpr std::array<std::string_view, 5> kTowers = {"vision_tower.", "audio_tower.", "embed_vision.",
                                                     "embed_audio.", "vision_embedder."};

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Takes "12." from the front of the text.
std::optional<int32_t> take_index(std::string_view& text) {
  int32_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  const auto digits = static_cast<size_t>(end - text.data());
  const bool has_leading_zero = digits > 1 && text.front() == '0';
  if (error != std::errc() || index < 0 || has_leading_zero || digits >= text.size() || *end != '.') {
    return std::nullopt;
  }
  text.remove_prefix(digits + 1);
  return index;
}

// The part whose name is the text up to the end or up to a separator; what follows goes to `suffix`.
template <size_t N>
std::optional<Part> match(const std::array<PartName, N>& parts, std::string_view text, char separator,
                          std::string& suffix) {
  for (const PartName& candidate : parts) {
    if (!text.starts_with(candidate.name)) continue;
    const std::string_view rest = text.substr(candidate.name.size());
    if (rest.empty()) {
      suffix.clear();
      return candidate.part;
    }
    if (rest.front() == separator && rest.size() > 1) {
      suffix = rest.substr(1);
      return candidate.part;
    }
  }
  return std::nullopt;
}

std::optional<Role> parse_layer(std::string_view rest, std::string& suffix) {
  const std::optional<int32_t> layer = take_index(rest);
  if (!layer) return std::nullopt;
  if (const auto part = match(kLayerParts, rest, '.', suffix)) return Role{*part, *layer, -1};
  // The older layout has the experts in a module "moe".
  take(rest, "moe.");
  std::string_view fused = rest;
  if (!take(rest, "experts.")) {
    const auto part = match(kFusedParts, fused, '_', suffix);
    return part ? std::optional(Role{*part, *layer, -1}) : std::nullopt;
  }
  if (const auto part = match(kFusedParts, rest, '_', suffix)) return Role{*part, *layer, -1};
  if (const auto part = match(kStackedParts, rest, '.', suffix)) return Role{*part, *layer, -1};
  const std::optional<int32_t> expert = take_index(rest);
  if (!expert) return std::nullopt;
  const auto part = match(kExpertParts, rest, '.', suffix);
  return part ? std::optional(Role{*part, *layer, *expert}) : std::nullopt;
}

std::optional<Role> parse_below_prefix(std::string_view rest, std::string& suffix) {
  if (take(rest, "layers.")) return parse_layer(rest, suffix);
  const auto part = match(kModelParts, rest, '.', suffix);
  return part ? std::optional(Role{*part, -1, -1}) : std::nullopt;
}

// "layers.N.self_attn.k_scale" and its relatives; ModelOpt has them below k_proj and v_proj, be there a
// v_proj or not.
bool is_kv_cache_scale(std::string_view rest) {
  if (!take(rest, "layers.") || !take_index(rest) || !take(rest, "self_attn.")) return false;
  return rest == "k_scale" || rest == "v_scale" || rest == "q_scale" || rest == "k_proj.k_scale" ||
         rest == "v_proj.v_scale";
}

template <size_t N>
std::optional<std::string_view> find_name(const std::array<PartName, N>& parts, Part part) {
  for (const PartName& candidate : parts) {
    if (candidate.part == part) return candidate.name;
  }
  return std::nullopt;
}

}  // namespace

PartClass class_of(Part part) {
  switch (part) {
    case Part::kEmbedding:
      return PartClass::kEmbedding;
    case Part::kPerLayerEmbedding:
      return PartClass::kPerLayerEmbedding;
    case Part::kPerLayerModelProjection:
    case Part::kPerLayerInputGate:
    case Part::kPerLayerProjection:
      return PartClass::kPerLayerInputs;
    case Part::kQ:
    case Part::kK:
    case Part::kV:
    case Part::kO:
      return PartClass::kAttention;
    case Part::kGate:
    case Part::kUp:
    case Part::kDown:
      return PartClass::kDenseMlp;
    case Part::kRouterProjection:
    case Part::kRouterScale:
    case Part::kPerExpertScale:
      return PartClass::kRouter;
    case Part::kExpertGate:
    case Part::kExpertUp:
    case Part::kExpertDown:
    case Part::kFusedExpertsGateUp:
    case Part::kFusedExpertsGate:
    case Part::kFusedExpertsUp:
    case Part::kFusedExpertsDown:
      return PartClass::kExperts;
    case Part::kHead:
      return PartClass::kHead;
    default:
      return PartClass::kNorms;
  }
}

std::optional<Part> part_of_one_expert(Part part) {
  switch (part) {
    case Part::kFusedExpertsGateUp:
    case Part::kFusedExpertsGate:
      return Part::kExpertGate;
    case Part::kFusedExpertsUp:
      return Part::kExpertUp;
    case Part::kFusedExpertsDown:
      return Part::kExpertDown;
    default:
      return std::nullopt;
  }
}

std::string role_name(const Role& role) {
  if (const auto name = find_name(kModelParts, role.part)) return std::string(*name);
  if (const auto name = find_name(kLayerParts, role.part))
    return fmt::format("layers.{}.{}", role.layer, *name);
  if (const auto name = find_name(kExpertParts, role.part)) {
    return fmt::format("layers.{}.experts.{}.{}", role.layer, role.expert, *name);
  }
  auto name = find_name(kFusedParts, role.part);
  if (!name) name = find_name(kStackedParts, role.part);
  return fmt::format("layers.{}.experts.{}", role.layer, name.value_or("?"));
}

TensorName parse_tensor_name(std::string_view name) {
  TensorName result;
  std::string_view rest = name;
  for (const std::string_view prefix : kPrefixes) {
    if (take(rest, prefix)) break;
  }
  const std::string_view below_model = name.starts_with("model.") ? name.substr(6) : name;
  for (const std::string_view tower : kTowers) {
    if (below_model.starts_with(tower) || rest.starts_with(tower)) {
      result.kind = TensorName::Kind::kTower;
      result.module = name;
      return result;
    }
  }
  // The head is the one module that may stand without a prefix.
  const bool has_prefix = rest.size() != name.size();
  if (!has_prefix && !name.starts_with("lm_head.")) return result;
  if (is_kv_cache_scale(rest)) {
    result.kind = TensorName::Kind::kKvCacheScale;
    result.module = name;
    return result;
  }
  const std::optional<Role> role = parse_below_prefix(rest, result.suffix);
  if (!role) return result;
  result.kind = TensorName::Kind::kWeight;
  result.role = *role;
  const size_t suffix_length = result.suffix.empty() ? 0 : result.suffix.size() + 1;
  result.module = name.substr(0, name.size() - suffix_length);
  return result;
}

}  // namespace beryl::checkpoint
