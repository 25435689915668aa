// The parts of Gemma 4's text network that hold weights, whatever a checkpoint calls them.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace beryl::checkpoint {

enum class Part : uint8_t {
  // Of the model.
  kEmbedding,
  kHead,
  kFinalNorm,
  kPerLayerEmbedding,
  kPerLayerModelProjection,
  kPerLayerProjectionNorm,
  // Of a layer.
  kInputNorm,
  kPostAttentionNorm,
  kPreFeedForwardNorm,
  kPostFeedForwardNorm,
  kPreFeedForwardNorm2,
  kPostFeedForwardNorm1,
  kPostFeedForwardNorm2,
  kQ,
  kK,
  kV,
  kO,
  kQNorm,
  kKNorm,
  kGate,
  kUp,
  kDown,
  kLayerScalar,
  kPerLayerInputGate,
  kPerLayerProjection,
  kPostPerLayerInputNorm,
  kRouterProjection,
  kRouterScale,
  kPerExpertScale,
  // Of an expert.
  kExpertGate,
  kExpertUp,
  kExpertDown,
  // Of all experts of a layer in one tensor; a dialect splits them into the three above. Gate
  // and up come in one tensor or in two.
  kFusedExpertsGateUp,
  kFusedExpertsGate,
  kFusedExpertsUp,
  kFusedExpertsDown,
};

// The part of one expert that a part of all experts holds, gate for gate and up; none for other parts.
std::optional<Part> part_of_one_expert(Part part);

// What a part does, in the order of the network: for reports, and for what tools quantise.
enum class PartClass : uint8_t {
  kEmbedding,
  kPerLayerEmbedding,
  kPerLayerInputs,  // the linears of per-layer embeddings
  kAttention,
  kDenseMlp,
  kRouter,
  kExperts,
  kNorms,  // and scalars
  kHead,
};

PartClass class_of(Part part);

// Where a weight belongs. `layer` and `expert` are -1 where the part has none.
struct Role {
  Part part = Part::kEmbedding;
  int32_t layer = -1;
  int32_t expert = -1;

  auto operator<=>(const Role&) const = default;
};

// The canonical Hugging Face name of a role's module, without prefix: "layers.3.experts.7.gate_proj".
std::string role_name(const Role& role);

// A tensor name taken apart.
struct TensorName {
  enum class Kind : uint8_t {
    kWeight,        // belongs to a role of the text network
    kTower,         // vision or audio: known, not part of the text network
    kKvCacheScale,  // scale of a quantised key/value cache
    kUnknown,
  };
  Kind kind = Kind::kUnknown;
  Role role;           // of kWeight
  std::string module;  // the name without the suffix, as published
  std::string
      suffix;  // "weight", "weight_scale", ...; for fused experts without the underscore: "" or "scale"
};

// Understands all published spellings: the prefixes model.language_model., language_model.model.,
// language_model. and model.; experts under .experts.E. or .moe.experts.E. or fused, or stacked under
// .experts.switch_glu.; the per-expert scale under router. or moe.; towers.
TensorName parse_tensor_name(std::string_view name);

}  // namespace beryl::checkpoint
