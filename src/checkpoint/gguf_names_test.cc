#include "checkpoint/gguf_names.h"

#include <gtest/gtest.h>

#include "checkpoint/role.h"

namespace beryl::checkpoint {
namespace {

TEST(GgufNamesTest, NamesOfTheModel) {
  EXPECT_EQ(name_from_gguf("token_embd.weight"), "model.language_model.embed_tokens.weight");
  EXPECT_EQ(name_from_gguf("output.weight"), "lm_head.weight");
  EXPECT_EQ(name_from_gguf("per_layer_model_proj.weight"),
            "model.language_model.per_layer_model_projection.weight");
}

TEST(GgufNamesTest, NamesOfLayers) {
  EXPECT_EQ(name_from_gguf("blk.0.attn_q.weight"), "model.language_model.layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(name_from_gguf("blk.29.ffn_gate_up_exps.weight"),
            "model.language_model.layers.29.experts.gate_up_proj");
  EXPECT_EQ(name_from_gguf("blk.3.ffn_gate_inp.weight"), "model.language_model.layers.3.router.proj.weight");
  EXPECT_EQ(name_from_gguf("blk.3.ffn_gate_inp.scale"), "model.language_model.layers.3.router.scale");
  EXPECT_EQ(name_from_gguf("blk.3.ffn_down_exps.scale"),
            "model.language_model.layers.3.router.per_expert_scale");
  EXPECT_EQ(name_from_gguf("blk.3.layer_output_scale.weight"), "model.language_model.layers.3.layer_scalar");
}

TEST(GgufNamesTest, UnknownNamesHaveNone) {
  for (const char* name :
       {"", "token_embd", "token_embd.weight.x", "blk.attn_q.weight", "blk..attn_q.weight",
        "blk.1attn_q.weight", "blk.1.attn_q.bias", "blk.1.token_embd.weight", "attn_q.weight",
        "blk.1.ffn_gate_exps.weight", "rope_freqs.weight", "v.blk.0.attn_q.weight", "blk.-1.attn_q.weight"}) {
    EXPECT_EQ(name_from_gguf(name), std::nullopt) << name;
  }
  for (const char* name : {"", "model.language_model.layers.0.mlp", "model.layers.0.layer_scalar",
                           "model.language_model.layers.x.layer_scalar"}) {
    EXPECT_EQ(name_to_gguf(name), std::nullopt) << name;
  }
}

TEST(GgufNamesTest, MessagesSpeakOfTheFile) {
  EXPECT_EQ(
      message_for_gguf("tensor 'model.language_model.layers.3.self_attn.q_proj.weight' has shape [1], but "
                       "config.json calls for [2]"),
      "tensor 'blk.3.attn_q.weight' has shape [1], but the file's metadata calls for [2]");
  EXPECT_EQ(message_for_gguf("'model.language_model.layers.3.experts.down_proj' and 'lm_head'"),
            "'blk.3.ffn_down_exps.weight' and 'output.weight'");
  for (const char* same : {"", "'", "it's what's 'there'", "'blk.3.attn_q.weight'", "config.jso"}) {
    EXPECT_EQ(message_for_gguf(same), same);
  }
}

// The parts that a name of ours leads to, whatever the table says of Hugging Face's spelling.
TEST(GgufNamesTest, EveryNameHasItsOwnPartAndTheWayBack) {
  const std::pair<const char*, Part> kParts[] = {
      {"token_embd.weight", Part::kEmbedding},
      {"output_norm.weight", Part::kFinalNorm},
      {"output.weight", Part::kHead},
      {"per_layer_token_embd.weight", Part::kPerLayerEmbedding},
      {"per_layer_model_proj.weight", Part::kPerLayerModelProjection},
      {"per_layer_proj_norm.weight", Part::kPerLayerProjectionNorm},
      {"blk.7.attn_norm.weight", Part::kInputNorm},
      {"blk.7.attn_q.weight", Part::kQ},
      {"blk.7.attn_k.weight", Part::kK},
      {"blk.7.attn_v.weight", Part::kV},
      {"blk.7.attn_output.weight", Part::kO},
      {"blk.7.attn_q_norm.weight", Part::kQNorm},
      {"blk.7.attn_k_norm.weight", Part::kKNorm},
      {"blk.7.post_attention_norm.weight", Part::kPostAttentionNorm},
      {"blk.7.ffn_norm.weight", Part::kPreFeedForwardNorm},
      {"blk.7.ffn_gate.weight", Part::kGate},
      {"blk.7.ffn_up.weight", Part::kUp},
      {"blk.7.ffn_down.weight", Part::kDown},
      {"blk.7.post_ffw_norm.weight", Part::kPostFeedForwardNorm},
      {"blk.7.post_ffw_norm_1.weight", Part::kPostFeedForwardNorm1},
      {"blk.7.pre_ffw_norm_2.weight", Part::kPreFeedForwardNorm2},
      {"blk.7.post_ffw_norm_2.weight", Part::kPostFeedForwardNorm2},
      {"blk.7.layer_output_scale.weight", Part::kLayerScalar},
      {"blk.7.ffn_gate_inp.weight", Part::kRouterProjection},
      {"blk.7.ffn_gate_inp.scale", Part::kRouterScale},
      {"blk.7.ffn_gate_up_exps.weight", Part::kFusedExpertsGateUp},
      {"blk.7.ffn_down_exps.weight", Part::kFusedExpertsDown},
      {"blk.7.ffn_down_exps.scale", Part::kPerExpertScale},
      {"blk.7.inp_gate.weight", Part::kPerLayerInputGate},
      {"blk.7.proj.weight", Part::kPerLayerProjection},
      {"blk.7.post_norm.weight", Part::kPostPerLayerInputNorm},
  };
  for (const auto& [gguf_name, part] : kParts) {
    const auto name = name_from_gguf(gguf_name);
    ASSERT_TRUE(name) << gguf_name;
    const TensorName parsed = parse_tensor_name(*name);
    EXPECT_EQ(parsed.kind, TensorName::Kind::kWeight) << *name;
    EXPECT_EQ(parsed.role.part, part) << gguf_name;
    EXPECT_EQ(parsed.role.layer, std::string_view(gguf_name).starts_with("blk.") ? 7 : -1);
    EXPECT_EQ(name_to_gguf(*name), gguf_name);
  }
}

}  // namespace
}  // namespace beryl::checkpoint
