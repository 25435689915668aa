#include "checkpoint/role.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace beryl::checkpoint {
namespace {

using Kind = TensorName::Kind;

struct NameCase {
  std::string name;
  Role role;
  std::string module;
  std::string suffix;
};

TEST(RoleTest, UnderstandsEveryPublishedSpelling) {
  const std::vector<NameCase> cases = {
      {"model.language_model.embed_tokens.weight",
       {Part::kEmbedding},
       "model.language_model.embed_tokens",
       "weight"},
      {"language_model.model.norm.weight", {Part::kFinalNorm}, "language_model.model.norm", "weight"},
      {"language_model.embed_tokens_per_layer.weight",
       {Part::kPerLayerEmbedding},
       "language_model.embed_tokens_per_layer",
       "weight"},
      {"model.layers.0.self_attn.q_proj.weight_scale",
       {Part::kQ, 0},
       "model.layers.0.self_attn.q_proj",
       "weight_scale"},
      {"lm_head.weight", {Part::kHead}, "lm_head", "weight"},
      {"language_model.lm_head.weight", {Part::kHead}, "language_model.lm_head", "weight"},
      {"model.layers.3.layer_scalar", {Part::kLayerScalar, 3}, "model.layers.3.layer_scalar", ""},
      {"model.layers.3.router.scale", {Part::kRouterScale, 3}, "model.layers.3.router.scale", ""},
      {"model.layers.3.router.per_expert_scale",
       {Part::kPerExpertScale, 3},
       "model.layers.3.router.per_expert_scale",
       ""},
      {"model.layers.3.moe.per_expert_scale",
       {Part::kPerExpertScale, 3},
       "model.layers.3.moe.per_expert_scale",
       ""},
      {"model.layers.29.experts.127.gate_proj.weight",
       {Part::kExpertGate, 29, 127},
       "model.layers.29.experts.127.gate_proj",
       "weight"},
      {"model.layers.29.moe.experts.0.down_proj.input_scale",
       {Part::kExpertDown, 29, 0},
       "model.layers.29.moe.experts.0.down_proj",
       "input_scale"},
      {"model.layers.1.experts.gate_up_proj",
       {Part::kFusedExpertsGateUp, 1},
       "model.layers.1.experts.gate_up_proj",
       ""},
      {"model.layers.1.experts.down_proj_packed",
       {Part::kFusedExpertsDown, 1},
       "model.layers.1.experts.down_proj",
       "packed"},
      {"model.layers.1.moe.gate_up_proj",
       {Part::kFusedExpertsGateUp, 1},
       "model.layers.1.moe.gate_up_proj",
       ""},
      {"model.layers.1.moe.experts.down_proj_scale",
       {Part::kFusedExpertsDown, 1},
       "model.layers.1.moe.experts.down_proj",
       "scale"},
      {"language_model.model.layers.1.experts.switch_glu.gate_proj.scales",
       {Part::kFusedExpertsGate, 1},
       "language_model.model.layers.1.experts.switch_glu.gate_proj",
       "scales"},
      {"language_model.model.layers.1.experts.switch_glu.up_proj.weight",
       {Part::kFusedExpertsUp, 1},
       "language_model.model.layers.1.experts.switch_glu.up_proj",
       "weight"},
      {"language_model.model.layers.1.experts.switch_glu.down_proj.biases",
       {Part::kFusedExpertsDown, 1},
       "language_model.model.layers.1.experts.switch_glu.down_proj",
       "biases"},
      {"model.layers.1.post_feedforward_layernorm_1.weight",
       {Part::kPostFeedForwardNorm1, 1},
       "model.layers.1.post_feedforward_layernorm_1",
       "weight"},
      {"model.layers.1.post_feedforward_layernorm.weight",
       {Part::kPostFeedForwardNorm, 1},
       "model.layers.1.post_feedforward_layernorm",
       "weight"},
  };
  for (const NameCase& expected : cases) {
    const TensorName name = parse_tensor_name(expected.name);
    EXPECT_EQ(name.kind, Kind::kWeight) << expected.name;
    EXPECT_EQ(name.role, expected.role) << expected.name;
    EXPECT_EQ(name.module, expected.module);
    EXPECT_EQ(name.suffix, expected.suffix) << expected.name;
  }
}

TEST(RoleTest, KnowsTowersAndCacheScales) {
  for (const char* name :
       {"model.vision_tower.encoder.layers.0.mlp.up_proj.linear.weight", "vision_tower.x.weight",
        "model.audio_tower.y", "model.embed_vision.embedding_projection.weight",
        "model.embed_audio.embedding_projection.weight", "model.vision_embedder.z.weight"}) {
    EXPECT_EQ(parse_tensor_name(name).kind, Kind::kTower) << name;
  }
  for (const char* name :
       {"model.language_model.layers.2.self_attn.k_scale", "model.layers.2.self_attn.v_scale",
        "model.layers.2.self_attn.q_scale", "model.language_model.layers.2.self_attn.k_proj.k_scale",
        "model.layers.2.self_attn.v_proj.v_scale"}) {
    EXPECT_EQ(parse_tensor_name(name).kind, Kind::kKvCacheScale) << name;
  }
}

TEST(RoleTest, RefusesWhatItDoesNotKnow) {
  for (const char* name : {"",
                           "weight",
                           "embed_tokens.weight",
                           "layers.0.mlp.up_proj.weight",
                           "model.layers",
                           "model.layers.",
                           "model.layers.0",
                           "model.layers.0.",
                           "model.layers.x.mlp.up_proj.weight",
                           "model.layers.-1.mlp.up_proj.weight",
                           "model.layers.+1.mlp.up_proj.weight",
                           "model.layers.00.mlp.up_proj.weight",
                           "model.layers.01.layer_scalar",
                           "model.layers.2147483648.layer_scalar",
                           "model.layers.99999999999999999999.layer_scalar",
                           "model.layers.0.experts.007.up_proj.weight",
                           "model.layers.0.experts.4294967296.up_proj.weight",
                           "model.layers.0.moe.moe.experts.0.up_proj.weight",
                           "model.layers.0.mlp.up_proj.",
                           "model.layers.0.mlp.up_projx",
                           "model.layers.0.moe.mlp.up_proj.weight",
                           "model.model.norm.weight",
                           "model.layers.0.self_attn.v_norm.weight",
                           "lm_head",
                           "lm_headx.weight",
                           "model.layers.0.self_attn.k_scale.x"}) {
    EXPECT_EQ(parse_tensor_name(name).kind, Kind::kUnknown) << name;
  }
}

// Published by one release of a quantiser; the suffix is then one that no dialect knows.
TEST(RoleTest, KeepsADoubledWeightSuffixVisible) {
  EXPECT_EQ(parse_tensor_name("model.layers.0.mlp.up_proj.weight.weight").suffix, "weight.weight");
}

TEST(RoleTest, NamesOfRolesParseBack) {
  for (const Role& role :
       {Role{Part::kEmbedding}, Role{Part::kHead}, Role{Part::kV, 7}, Role{Part::kLayerScalar, 0},
        Role{Part::kExpertUp, 3, 99}, Role{Part::kFusedExpertsDown, 3}, Role{Part::kFusedExpertsUp, 3},
        Role{Part::kPerExpertScale, 1}}) {
    EXPECT_EQ(parse_tensor_name("model." + role_name(role)).role, role) << role_name(role);
  }
}

}  // namespace
}  // namespace beryl::checkpoint
