// Which weights a configuration calls for, worked out by hand.
#include "checkpoint/expected_weights.h"

#include <gtest/gtest.h>

#include <tuple>

namespace beryl::checkpoint {
namespace {

// Two layers of width 96, the second a full one; 4 heads.
ModelConfig small_config() {
  ModelConfig config;
  config.hidden_size = 96;
  config.vocabulary_size = 512;
  config.heads = 4;
  config.layers = {{.attention = AttentionKind::kSliding,
                    .head_dim = 32,
                    .kv_heads = 2,
                    .intermediate_size = 64,
                    .kv_source = 0},
                   {.attention = AttentionKind::kFull,
                    .head_dim = 64,
                    .kv_heads = 1,
                    .intermediate_size = 80,
                    .kv_source = 1}};
  return config;
}

using Shape = std::tuple<int64_t, int64_t, bool>;  // rows, cols, whether it is a vector

Shape shape_of(const ModelConfig& config, const Role& role) {
  const auto weights = expected_weights(config);
  const auto position = weights.find(role);
  if (position == weights.end()) return {};
  return {position->second.rows, position->second.cols, position->second.is_vector};
}

Presence presence_of(const ModelConfig& config, const Role& role) {
  return expected_weights(config).at(role).presence;
}

TEST(ExpectedWeightsTest, ShapesFollowTheConfiguration) {
  const ModelConfig config = small_config();
  EXPECT_EQ(shape_of(config, {Part::kEmbedding, -1, -1}), Shape(512, 96, false));
  EXPECT_EQ(shape_of(config, {Part::kFinalNorm, -1, -1}), Shape(96, 1, true));
  EXPECT_EQ(shape_of(config, {Part::kQ, 0, -1}), Shape(128, 96, false));
  EXPECT_EQ(shape_of(config, {Part::kQ, 1, -1}), Shape(256, 96, false));
  EXPECT_EQ(shape_of(config, {Part::kK, 0, -1}), Shape(64, 96, false));
  EXPECT_EQ(shape_of(config, {Part::kO, 1, -1}), Shape(96, 256, false));
  EXPECT_EQ(shape_of(config, {Part::kQNorm, 1, -1}), Shape(64, 1, true));
  EXPECT_EQ(shape_of(config, {Part::kUp, 1, -1}), Shape(80, 96, false));
  EXPECT_EQ(shape_of(config, {Part::kDown, 1, -1}), Shape(96, 80, false));
  EXPECT_EQ(shape_of(config, {Part::kLayerScalar, 1, -1}), Shape(1, 1, true));
}

TEST(ExpectedWeightsTest, DenseModelsCallForNothingElse) {
  // Embedding, head, norm; in each layer 6 norms, a scalar, q, k, v, o, gate, up, down.
  EXPECT_EQ(expected_weights(small_config()).size(), 3U + 2 * (6 + 1 + 7));
}

TEST(ExpectedWeightsTest, ATiedHeadMayBeThere) {
  ModelConfig config = small_config();
  const Role head = {Part::kHead, -1, -1};
  EXPECT_EQ(presence_of(config, head), Presence::kOptional);
  config.ties_head = false;
  EXPECT_EQ(presence_of(config, head), Presence::kRequired);
}

TEST(ExpectedWeightsTest, ValuesThatAreKeysHaveNoWeight) {
  ModelConfig config = small_config();
  config.layers[1].v_is_k = true;
  const auto weights = expected_weights(config);
  EXPECT_FALSE(weights.contains({Part::kV, 1, -1}));
  EXPECT_TRUE(weights.contains({Part::kV, 0, -1}));
  EXPECT_TRUE(weights.contains({Part::kK, 1, -1}));
}

TEST(ExpectedWeightsTest, KeysAndValuesOfLayersThatReuseOthersAreIgnored) {
  ModelConfig config = small_config();
  config.layers.push_back(config.layers[1]);  // whose source stays layer 1
  for (const Part part : {Part::kK, Part::kV, Part::kKNorm}) {
    EXPECT_EQ(presence_of(config, {part, 2, -1}), Presence::kIgnored);
    EXPECT_EQ(presence_of(config, {part, 1, -1}), Presence::kRequired);
  }
  EXPECT_EQ(presence_of(config, {Part::kQ, 2, -1}), Presence::kRequired);
}

TEST(ExpectedWeightsTest, ExpertsAreCalledForOneByOne) {
  ModelConfig config = small_config();
  config.expert_count = 3;
  config.expert_intermediate_size = 48;
  EXPECT_EQ(shape_of(config, {Part::kExpertGate, 1, 2}), Shape(48, 96, false));
  EXPECT_EQ(shape_of(config, {Part::kExpertDown, 0, 0}), Shape(96, 48, false));
  EXPECT_EQ(shape_of(config, {Part::kRouterProjection, 0, -1}), Shape(3, 96, false));
  EXPECT_EQ(shape_of(config, {Part::kRouterScale, 0, -1}), Shape(96, 1, true));
  EXPECT_EQ(shape_of(config, {Part::kPerExpertScale, 0, -1}), Shape(3, 1, true));
  const auto weights = expected_weights(config);
  EXPECT_FALSE(weights.contains({Part::kExpertGate, 0, 3}));
  // In each layer three experts of three matrices, three norms, and the router's three.
  EXPECT_EQ(weights.size(), expected_weights(small_config()).size() + 2 * (9 + 3 + 3));
}

TEST(ExpectedWeightsTest, PerLayerInputsSpanAllLayers) {
  ModelConfig config = small_config();
  config.per_layer_input_size = 16;
  config.per_layer_vocabulary_size = 500;
  EXPECT_EQ(shape_of(config, {Part::kPerLayerEmbedding, -1, -1}), Shape(500, 32, false));
  EXPECT_EQ(shape_of(config, {Part::kPerLayerModelProjection, -1, -1}), Shape(32, 96, false));
  EXPECT_EQ(shape_of(config, {Part::kPerLayerProjectionNorm, -1, -1}), Shape(16, 1, true));
  EXPECT_EQ(shape_of(config, {Part::kPerLayerInputGate, 1, -1}), Shape(16, 96, false));
  EXPECT_EQ(shape_of(config, {Part::kPerLayerProjection, 1, -1}), Shape(96, 16, false));
  EXPECT_EQ(shape_of(config, {Part::kPostPerLayerInputNorm, 0, -1}), Shape(96, 1, true));
}

}  // namespace
}  // namespace beryl::checkpoint
