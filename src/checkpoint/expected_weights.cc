#include "checkpoint/expected_weights.h"

namespace beryl::checkpoint {
namespace {

class Expectations {
 public:
  explicit Expectations(const ModelConfig& config) : config_(config) {}

  std::map<Role, ExpectedWeight> make() {
    add_model();
    for (size_t i = 0; i < config_.layers.size(); ++i) {
      layer_ = static_cast<int32_t>(i);
      add_attention(config_.layers[i]);
      add_feed_forward(config_.layers[i]);
      if (config_.is_moe()) add_experts();
      if (config_.has_per_layer_inputs()) add_per_layer_inputs();
      vector(Part::kLayerScalar, 1);
    }
    return std::move(weights_);
  }

 private:
  void add_model() {
    layer_ = -1;
    matrix(Part::kEmbedding, config_.vocabulary_size, config_.hidden_size);
    // A tied checkpoint may still carry a head; it is then the head.
    matrix(Part::kHead, config_.vocabulary_size, config_.hidden_size,
           config_.ties_head ? Presence::kOptional : Presence::kRequired);
    vector(Part::kFinalNorm, config_.hidden_size);
    if (!config_.has_per_layer_inputs()) return;
    const int64_t width = static_cast<int64_t>(config_.layers.size()) * config_.per_layer_input_size;
    matrix(Part::kPerLayerEmbedding, config_.per_layer_vocabulary_size, width);
    matrix(Part::kPerLayerModelProjection, width, config_.hidden_size);
    vector(Part::kPerLayerProjectionNorm, config_.per_layer_input_size);
  }

  void add_attention(const LayerConfig& layer) {
    const int64_t q_width = config_.heads * layer.head_dim;
    const int64_t kv_width = layer.kv_heads * layer.head_dim;
    const Presence kv = layer.kv_source == layer_ ? Presence::kRequired : Presence::kIgnored;
    vector(Part::kInputNorm, config_.hidden_size);
    vector(Part::kPostAttentionNorm, config_.hidden_size);
    matrix(Part::kQ, q_width, config_.hidden_size);
    matrix(Part::kK, kv_width, config_.hidden_size, kv);
    if (!layer.v_is_k) matrix(Part::kV, kv_width, config_.hidden_size, kv);
    matrix(Part::kO, config_.hidden_size, q_width);
    vector(Part::kQNorm, layer.head_dim);
    vector(Part::kKNorm, layer.head_dim, kv);
  }

  void add_feed_forward(const LayerConfig& layer) {
    vector(Part::kPreFeedForwardNorm, config_.hidden_size);
    vector(Part::kPostFeedForwardNorm, config_.hidden_size);
    matrix(Part::kGate, layer.intermediate_size, config_.hidden_size);
    matrix(Part::kUp, layer.intermediate_size, config_.hidden_size);
    matrix(Part::kDown, config_.hidden_size, layer.intermediate_size);
  }

  void add_experts() {
    vector(Part::kPreFeedForwardNorm2, config_.hidden_size);
    vector(Part::kPostFeedForwardNorm1, config_.hidden_size);
    vector(Part::kPostFeedForwardNorm2, config_.hidden_size);
    matrix(Part::kRouterProjection, config_.expert_count, config_.hidden_size);
    vector(Part::kRouterScale, config_.hidden_size);
    vector(Part::kPerExpertScale, config_.expert_count);
    for (int32_t expert = 0; expert < config_.expert_count; ++expert) {
      const ExpectedWeight in = {.rows = config_.expert_intermediate_size, .cols = config_.hidden_size};
      weights_[{Part::kExpertGate, layer_, expert}] = in;
      weights_[{Part::kExpertUp, layer_, expert}] = in;
      weights_[{Part::kExpertDown, layer_, expert}] = {.rows = in.cols, .cols = in.rows};
    }
  }

  void add_per_layer_inputs() {
    matrix(Part::kPerLayerInputGate, config_.per_layer_input_size, config_.hidden_size);
    matrix(Part::kPerLayerProjection, config_.hidden_size, config_.per_layer_input_size);
    vector(Part::kPostPerLayerInputNorm, config_.hidden_size);
  }

  void matrix(Part part, int64_t rows, int64_t cols, Presence presence = Presence::kRequired) {
    weights_[{part, layer_, -1}] = {.rows = rows, .cols = cols, .is_vector = false, .presence = presence};
  }

  void vector(Part part, int64_t length, Presence presence = Presence::kRequired) {
    weights_[{part, layer_, -1}] = {.rows = length, .cols = 1, .is_vector = true, .presence = presence};
  }

  const ModelConfig& config_;
  int32_t layer_ = -1;
  std::map<Role, ExpectedWeight> weights_;
};

}  // namespace

std::map<Role, ExpectedWeight> expected_weights(const ModelConfig& config) {
  return Expectations(config).make();
}

}  // namespace beryl::checkpoint
