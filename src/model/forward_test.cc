// What golden files cannot see: factors that a norm undoes, and which rows are computed at all.

#include "model/forward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "base/number_types.h"
#include "checkpoint/checkpoint.h"
#include "formats/decoder.h"
#include "model/recording_backend_for_tests.h"

namespace beryl::model {
namespace {

using checkpoint::Part;

// A tiny checkpoint on the recording backend.
class Recorded {
 public:
  explicit Recorded(const std::string& name)
      : checkpoint_(checkpoint::Checkpoint::open(std::filesystem::path(BERYL_SOURCE_DIR) / "testdata" /
                                                 "checkpoints" / name)) {
    NoProgress progress;
    network = load_network(config(), checkpoint_.weights(), backend, progress);
  }

  const checkpoint::ModelConfig& config() const { return checkpoint_.config(); }
  const checkpoint::WeightMap& weights() const { return checkpoint_.weights(); }
  std::vector<float> published(Part part, int32_t layer) const {
    return formats::read_floats(weights().at({part, layer, -1}).matrix.codes);
  }

  // A pass over `tokens` tokens at positions 10, 11, ...
  void run(size_t tokens, const std::vector<int32_t>& logit_rows) {
    const std::vector<int32_t> ids(tokens, 7);
    const std::vector<int32_t> sequences(tokens, 0);
    std::vector<int32_t> positions(tokens);
    std::iota(positions.begin(), positions.end(), 10);
    const backend::PageTables tables = {};
    const Batch batch = {.tokens = ids,
                         .rows = {.sequences = sequences, .positions = positions, .tables = {&tables, 1}},
                         .logit_rows = logit_rows};
    std::vector<float> logits(logit_rows.size() * static_cast<size_t>(config().vocabulary_size));
    Workspace workspace(backend);
    backend.calls.clear();
    forward(network, backend, batch, *backend.make_cache({}), workspace, logits);
  }

  RecordingBackend backend;
  Network network;

 private:
  checkpoint::Checkpoint checkpoint_;
};

TEST(ForwardTest, PerLayerEmbeddingConstants) {
  Recorded recorded("ple-bf16");
  const auto d = static_cast<double>(recorded.config().hidden_size);
  const auto p = static_cast<double>(recorded.config().per_layer_input_size);
  const auto layers = static_cast<int64_t>(recorded.config().layers.size());
  recorded.run(5, {0, 1, 2, 3, 4});

  const auto embeds = recorded.backend.calls_of("embed");
  ASSERT_EQ(embeds.size(), 2U);
  EXPECT_EQ(embeds[0].scale, round_to_bf16(static_cast<float>(std::sqrt(d))));
  EXPECT_FLOAT_EQ(embeds[1].scale, static_cast<float>(std::sqrt(p)));
  EXPECT_NE(embeds[1].matrix.find("embed_tokens_per_layer"), std::string::npos);

  // rms(s b; eps) = rms(b; eps / s^2): the projection's factor s = D^(-1/2) shows as an epsilon times D.
  const RecordedCall norm = recorded.backend.calls_of("rms_norm").front();
  EXPECT_EQ(norm.rows, 5 * layers);
  EXPECT_EQ(norm.width, recorded.config().per_layer_input_size);
  EXPECT_FLOAT_EQ(norm.epsilon, static_cast<float>(1e-6 * d));

  const auto sums = recorded.backend.calls_of("add_scaled");
  ASSERT_EQ(sums.size(), 1U);
  EXPECT_FLOAT_EQ(sums[0].scale, static_cast<float>(std::sqrt(0.5)));
  EXPECT_EQ(sums[0].width, layers * recorded.config().per_layer_input_size);

  const auto gates = recorded.backend.calls_of("gelu_gate");
  ASSERT_EQ(gates.size(), static_cast<size_t>(layers));
  for (size_t i = 0; i < gates.size(); ++i) {
    EXPECT_EQ(gates[i].scale, static_cast<float>(static_cast<double>(i) * p)) << "layer " << i;
  }
}

// The last addition of a layer scales the whole stream, every other addition leaves it.
TEST(ForwardTest, LayerScalarAppliesOnceAtTheEndOfALayer) {
  for (const std::string name : {"dense-bf16", "moe-bf16", "ple-bf16"}) {
    Recorded recorded(name);
    recorded.run(1, {0});
    const auto sums = recorded.backend.calls_of("add_normed");
    const size_t layers = recorded.config().layers.size();
    ASSERT_EQ(sums.size() % layers, 0U);
    const size_t each = sums.size() / layers;
    ASSERT_EQ(each, name == "dense-bf16" ? 2U : 3U);
    for (size_t i = 0; i < sums.size(); ++i) {
      const float scalar = recorded.published(Part::kLayerScalar, static_cast<int32_t>(i / each)).front();
      EXPECT_NE(scalar, 1.0F) << "the checkpoint must show it";
      EXPECT_EQ(sums[i].scale, (i + 1) % each == 0 ? scalar : 1.0F) << name << ", addition " << i;
    }
  }
}

TEST(ForwardTest, RouterScaleCarriesTheInverseRootOfTheWidth) {
  Recorded recorded("moe-bf16");
  const double root = std::sqrt(static_cast<double>(recorded.config().hidden_size));
  for (size_t layer = 0; layer < recorded.network.layers.size(); ++layer) {
    const MoeWeights& moe = *recorded.network.layers[layer].moe;
    const std::vector<float> published = recorded.published(Part::kRouterScale, static_cast<int32_t>(layer));
    const auto& uploaded = static_cast<const RecordedVector&>(*moe.router_scale).values;
    ASSERT_EQ(uploaded.size(), published.size());
    for (size_t i = 0; i < published.size(); ++i) EXPECT_NEAR(uploaded[i], published[i] / root, 1e-7);
    EXPECT_EQ(static_cast<const RecordedVector&>(*moe.per_expert_scale).values,
              recorded.published(Part::kPerExpertScale, static_cast<int32_t>(layer)));
  }
}

TEST(ForwardTest, RotaryFrequencies) {
  Recorded recorded("moe-bf16");
  for (size_t layer = 0; layer < recorded.network.layers.size(); ++layer) {
    const checkpoint::LayerConfig& shape = recorded.config().layers[layer];
    const bool is_full = shape.attention == checkpoint::AttentionKind::kFull;
    const auto& values = static_cast<const RecordedVector&>(*recorded.network.layers[layer].inv_freq).values;
    const auto head_dim = static_cast<double>(shape.head_dim);
    ASSERT_EQ(values.size(), static_cast<size_t>(shape.head_dim / 2));
    for (size_t i = 0; i < values.size(); ++i) {
      // Full layers turn the first quarter of the pairs only.
      const double expected = is_full && i >= values.size() / 4
                                  ? 0
                                  : std::pow(is_full ? 1e6 : 1e4, -2.0 * static_cast<double>(i) / head_dim);
      EXPECT_NEAR(values[i], expected, 1e-6 * expected);
    }
  }
}

// Layers 3 to 5 have no keys and values: sliding ones read layer 1's, the full one layer 2's.
TEST(ForwardTest, SharingLayersReadTheDonorsCache) {
  for (const std::string name : {"ple-bf16", "ple-ct-fp8-dynamic-sharedkv"}) {
    Recorded recorded(name);
    recorded.run(2, {0, 1});
    const int64_t cache_layers_read[] = {0, 1, 2, 1, 1, 2};
    const auto writes = recorded.backend.calls_of("rotate_and_cache");
    const auto reads = recorded.backend.calls_of("attention");
    ASSERT_EQ(reads.size(), 6U);
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(reads[i].cache_layer, cache_layers_read[i]) << "layer " << i;
      EXPECT_EQ(writes[i].writes_cache, i < 3) << "layer " << i;
    }
    EXPECT_EQ(cache_layers(recorded.config()).size(), 3U);
  }
}

TEST(ForwardTest, OnlyRowsThatNeedLogitsPassTheSharingLayersAndTheHead) {
  Recorded recorded("ple-bf16");
  recorded.run(5, {1, 4});
  const auto attentions = recorded.backend.calls_of("attention");
  const auto mlps = recorded.backend.calls_of("feed_forward");
  const auto gates = recorded.backend.calls_of("gelu_gate");
  ASSERT_EQ(attentions.size(), 6U);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(attentions[i].rows, i < 3 ? 5 : 2) << "layer " << i;
    EXPECT_EQ(mlps[i].rows, i < 3 ? 5 : 2) << "layer " << i;
    EXPECT_EQ(gates[i].rows, i < 3 ? 5 : 2) << "layer " << i;
  }
  EXPECT_EQ(attentions[2].positions, (std::vector<int32_t>{10, 11, 12, 13, 14}));
  EXPECT_EQ(attentions[3].positions, (std::vector<int32_t>{11, 14}));
  ASSERT_EQ(recorded.backend.calls_of("head").size(), 1U);
  EXPECT_EQ(recorded.backend.calls_of("head")[0].rows, 2);
}

TEST(ForwardTest, WithoutLogitRowsNothingRunsAfterTheLastCacheWrite) {
  Recorded recorded("ple-bf16");
  recorded.run(5, {});
  EXPECT_EQ(recorded.backend.calls_of("attention").size(), 3U);
  EXPECT_TRUE(recorded.backend.calls_of("head").empty());

  // A model without sharing layers needs all of them, and still no head.
  Recorded dense("dense-bf16");
  dense.run(5, {});
  EXPECT_EQ(dense.backend.calls_of("rotate_and_cache").size(), 4U);
  EXPECT_TRUE(dense.backend.calls_of("head").empty());
}

TEST(ForwardTest, HeadIsTheEmbeddingUnderTheSoftCap) {
  Recorded recorded("dense-bf16");
  recorded.run(3, {2});
  const auto heads = recorded.backend.calls_of("head");
  ASSERT_EQ(heads.size(), 1U);
  EXPECT_EQ(heads[0].rows, 1);
  EXPECT_EQ(heads[0].scale, 30.0F);
  EXPECT_EQ(heads[0].matrix, recorded.backend.calls_of("embed")[0].matrix);
}

// Full layers whose values are the keys' projection pass the same buffer for both.
TEST(ForwardTest, ValuesAreTheKeysProjectionWhereThereIsNoOther) {
  Recorded recorded("moe-bf16");
  recorded.run(1, {0});
  const auto writes = recorded.backend.calls_of("rotate_and_cache");
  bool any = false;
  for (size_t i = 0; i < writes.size(); ++i) {
    EXPECT_EQ(writes[i].v_is_k, recorded.config().layers[i].v_is_k) << "layer " << i;
    any |= writes[i].v_is_k;
  }
  EXPECT_TRUE(any);
}

}  // namespace
}  // namespace beryl::model
