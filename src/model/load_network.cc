#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "formats/decoder.h"
#include "formats/scheme.h"
#include "model/network.h"

namespace beryl::model {
namespace {

using checkpoint::AttentionKind;
using checkpoint::LayerConfig;
using checkpoint::ModelConfig;
using checkpoint::Part;
using checkpoint::Role;
using checkpoint::Weight;
using checkpoint::WeightMap;

// Plans the upload of all matrices: what to read and where the handle goes.
class MatrixUploads {
 public:
  explicit MatrixUploads(const WeightMap& weights) : weights_(weights) {}

  void add(const Role& role, MatrixPtr& to) {
    const Weight& weight = weights_.at(role);
    sources_.push_back({.name = checkpoint::weight_name(role, weight),
                        .matrix = weight.matrix,
                        .up = {},
                        .is_table = role.part == Part::kPerLayerEmbedding});
    targets_.push_back(&to);
  }

  void add_mlp(const Role& gate, const Role& up, const Role& down, MlpWeights& to) {
    const Weight& gate_weight = weights_.at(gate);
    const Weight& up_weight = weights_.at(up);
    const formats::QuantMatrix& a = gate_weight.matrix;
    const formats::QuantMatrix& b = up_weight.matrix;
    if (formats::scheme_of(a) != formats::scheme_of(b)) {
      throw Error(
          ErrorCode::kUnsupported,
          fmt::format("'{}' is stored as {} (scales {}) and '{}' as {} (scales {}); gate and up of one MLP "
                      "must share a format",
                      gate_weight.module, formats::format_name(a.format), formats::scale_text(a),
                      up_weight.module, formats::format_name(b.format), formats::scale_text(b)));
    }
    sources_.push_back({.name = checkpoint::weight_name(gate, gate_weight),
                        .matrix = a,
                        .up = b,
                        .up_name = checkpoint::weight_name(up, up_weight)});
    targets_.push_back(&to.gate_up);
    add(down, to.down);
  }

  const std::vector<backend::MatrixSource>& sources() const { return sources_; }

  void run(backend::Backend& backend, Progress& progress) {
    std::vector<MatrixPtr> matrices = backend.upload(sources_, progress);
    for (size_t i = 0; i < matrices.size(); ++i) *targets_[i] = std::move(matrices[i]);
  }

 private:
  const WeightMap& weights_;
  std::vector<backend::MatrixSource> sources_;
  std::vector<MatrixPtr*> targets_;  // parallel to sources_
};

void plan_layer(const ModelConfig& config, int32_t index, MatrixUploads& uploads, LayerWeights& layer) {
  const LayerConfig& shape = config.layers[static_cast<size_t>(index)];
  const auto role = [&](Part part) { return Role{part, index, -1}; };
  uploads.add(role(Part::kQ), layer.q);
  if (shape.kv_source == index) {
    uploads.add(role(Part::kK), layer.k);
    if (!shape.v_is_k) uploads.add(role(Part::kV), layer.v);
  }
  uploads.add(role(Part::kO), layer.o);
  uploads.add_mlp(role(Part::kGate), role(Part::kUp), role(Part::kDown), layer.mlp);
  if (config.is_moe()) {
    layer.moe = std::make_unique<MoeWeights>();
    uploads.add(role(Part::kRouterProjection), layer.moe->router_projection);
    layer.moe->experts.resize(static_cast<size_t>(config.expert_count));
    for (int32_t expert = 0; expert < config.expert_count; ++expert) {
      uploads.add_mlp({Part::kExpertGate, index, expert}, {Part::kExpertUp, index, expert},
                      {Part::kExpertDown, index, expert}, layer.moe->experts[static_cast<size_t>(expert)]);
    }
  }
  if (config.has_per_layer_inputs()) {
    layer.per_layer = std::make_unique<PerLayerInputWeights>();
    uploads.add(role(Part::kPerLayerInputGate), layer.per_layer->gate);
    uploads.add(role(Part::kPerLayerProjection), layer.per_layer->projection);
  }
}

// Plans all matrices of the network. `network.layers` must not move afterwards.
MatrixUploads plan_matrices(const ModelConfig& config, const WeightMap& weights, Network& network) {
  MatrixUploads uploads(weights);
  uploads.add({Part::kEmbedding, -1, -1}, network.embedding);
  const Role head = {Part::kHead, -1, -1};
  if (weights.find(head) != nullptr) uploads.add(head, network.head);
  if (config.has_per_layer_inputs()) {
    uploads.add({Part::kPerLayerEmbedding, -1, -1}, network.per_layer_embedding);
    uploads.add({Part::kPerLayerModelProjection, -1, -1}, network.per_layer_model_projection);
  }
  network.layers.resize(config.layers.size());
  for (size_t i = 0; i < config.layers.size(); ++i) {
    plan_layer(config, static_cast<int32_t>(i), uploads, network.layers[i]);
  }
  return uploads;
}

// Uploads the vectors: norms, scales.
class VectorUploads {
 public:
  VectorUploads(const WeightMap& weights, backend::Backend& backend) : weights_(weights), backend_(backend) {}

  std::vector<float> read(const Role& role) const {
    const Weight& weight = weights_.at(role);
    return with_context(weight.module, [&] {
      std::vector<float> values = formats::read_floats(weight.matrix.codes);
      for (size_t i = 0; i < values.size(); ++i) {
        if (std::isfinite(values[i])) continue;
        throw Error(ErrorCode::kInvalidInput,
                    fmt::format("element {} is {}, expected a finite number", i, values[i]),
                    "the checkpoint is damaged; download it again, or report it to its publisher");
      }
      return values;
    });
  }

  VectorPtr upload(const Role& role) const { return backend_.upload_vector(read(role)); }

 private:
  const WeightMap& weights_;
  backend::Backend& backend_;
};

void load_layer_vectors(const ModelConfig& config, int32_t index, const VectorUploads& vectors,
                        backend::Backend& backend, LayerWeights& layer) {
  const auto role = [&](Part part) { return Role{part, index, -1}; };
  layer.input_norm = vectors.upload(role(Part::kInputNorm));
  layer.post_attention_norm = vectors.upload(role(Part::kPostAttentionNorm));
  layer.q_norm = vectors.upload(role(Part::kQNorm));
  if (layer.k) layer.k_norm = vectors.upload(role(Part::kKNorm));
  layer.pre_norm = vectors.upload(role(Part::kPreFeedForwardNorm));
  layer.post_norm = vectors.upload(role(Part::kPostFeedForwardNorm));
  layer.output_scale = vectors.read(role(Part::kLayerScalar)).front();
  if (layer.moe) {
    MoeWeights& moe = *layer.moe;
    std::vector<float> scale = vectors.read(role(Part::kRouterScale));
    const auto inverse_root = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.hidden_size)));
    for (float& value : scale) value *= inverse_root;
    moe.router_scale = backend.upload_vector(scale);
    moe.per_expert_scale = vectors.upload(role(Part::kPerExpertScale));
    moe.pre_norm_2 = vectors.upload(role(Part::kPreFeedForwardNorm2));
    moe.post_norm_1 = vectors.upload(role(Part::kPostFeedForwardNorm1));
    moe.post_norm_2 = vectors.upload(role(Part::kPostFeedForwardNorm2));
    for (const MlpWeights& expert : moe.experts) {
      moe.expert_handles.push_back({.gate_up = expert.gate_up.get(), .down = expert.down.get()});
    }
  }
  if (layer.per_layer) layer.per_layer->post_norm = vectors.upload(role(Part::kPostPerLayerInputNorm));
}

// theta^(-2i / head_dim) for the pairs that turn, zero for the others.
std::vector<float> inverse_frequencies(const checkpoint::RotaryConfig& rotary, int64_t head_dim) {
  std::vector<float> frequencies(static_cast<size_t>(head_dim / 2), 0.0F);
  const auto rotated = static_cast<size_t>(rotary.partial_factor * static_cast<double>(head_dim) / 2);
  for (size_t i = 0; i < std::min(rotated, frequencies.size()); ++i) {
    frequencies[i] = static_cast<float>(
        std::pow(rotary.theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim)));
  }
  return frequencies;
}

backend::LayerKind kind_of(const LayerConfig& layer) {
  return layer.attention == AttentionKind::kSliding ? backend::LayerKind::kSliding
                                                    : backend::LayerKind::kFull;
}

// Describes each layer's attention to the backend, once its handles exist.
void describe_attention(backend::Backend& backend, Network& network) {
  const ModelConfig& config = network.config;
  std::vector<int64_t> cache_layer_of(config.layers.size());
  int64_t next_cache_layer = 0;
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const LayerConfig& shape = config.layers[i];
    const bool holds_cache = shape.kv_source == static_cast<int64_t>(i);
    cache_layer_of[i] =
        holds_cache ? next_cache_layer++ : cache_layer_of[static_cast<size_t>(shape.kv_source)];
    const bool is_sliding = shape.attention == AttentionKind::kSliding;
    LayerWeights& layer = network.layers[i];
    layer.inv_freq = backend.upload_vector(
        inverse_frequencies(is_sliding ? config.sliding_rotary : config.full_rotary, shape.head_dim));
    layer.attention = {.kind = kind_of(shape),
                       .heads = config.heads,
                       .kv_heads = shape.kv_heads,
                       .head_dim = shape.head_dim,
                       .window = config.sliding_window,
                       .cache_layer = cache_layer_of[i],
                       .norm_epsilon = config.norm_epsilon,
                       .q_norm = layer.q_norm.get(),
                       .k_norm = layer.k_norm.get(),
                       .inv_freq = layer.inv_freq.get()};
  }
}

}  // namespace

Network load_network(const ModelConfig& config, const WeightMap& weights, backend::Backend& backend,
                     Progress& progress) {
  Network network;
  network.config = config;
  plan_matrices(config, weights, network).run(backend, progress);
  const VectorUploads vectors(weights, backend);
  network.final_norm = vectors.upload({Part::kFinalNorm, -1, -1});
  if (config.has_per_layer_inputs()) {
    network.per_layer_projection_norm = vectors.upload({Part::kPerLayerProjectionNorm, -1, -1});
  }
  for (size_t i = 0; i < network.layers.size(); ++i) {
    load_layer_vectors(config, static_cast<int32_t>(i), vectors, backend, network.layers[i]);
  }
  describe_attention(backend, network);
  return network;
}

std::vector<backend::CacheLayer> cache_layers(const ModelConfig& config) {
  std::vector<backend::CacheLayer> layers;
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const LayerConfig& shape = config.layers[i];
    if (shape.kv_source != static_cast<int64_t>(i)) continue;
    layers.push_back({.kind = kind_of(shape), .kv_heads = shape.kv_heads, .head_dim = shape.head_dim});
  }
  return layers;
}

uint64_t resident_bytes(const ModelConfig& config, const WeightMap& weights,
                        const backend::Backend& backend) {
  Network network;
  uint64_t bytes = 0;
  const MatrixUploads uploads = plan_matrices(config, weights, network);
  for (const backend::MatrixSource& source : uploads.sources()) bytes += backend.resident_bytes(source);
  return bytes;
}

}  // namespace beryl::model
