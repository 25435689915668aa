// Gemma 4's text network. Names follow docs/numerics.md; T rows, D model width, P per-layer input width.

#include "model/forward.h"

#include <array>
#include <cmath>
#include <utility>

#include "base/number_types.h"

namespace beryl::model {

using backend::Buffer;

Workspace::Workspace(backend::Backend& backend) : routing_(backend.make_routing()) {
  for (auto* buffer : {&stream_, &narrowed_, &normed_, &experts_in_, &q_, &k_, &v_, &attention_, &update_,
                       &experts_out_, &per_layer_, &per_layer_narrow_, &per_layer_gate_}) {
    *buffer = backend.make_buffer();
  }
}

class ForwardPass {
 public:
  ForwardPass(const Network& network, backend::Backend& backend, const Batch& batch, backend::Cache& cache,
              Workspace& workspace)
      : network_(network),
        config_(network.config),
        backend_(backend),
        batch_(batch),
        cache_(cache),
        w_(workspace),
        observer_(batch.observer),
        rows_(batch.rows) {}

  bool run(std::span<float> logits) {
    embed();
    for (size_t i = 0; i < network_.layers.size(); ++i) {
      if (batch_.should_stop && batch_.should_stop()) return false;
      const LayerWeights& layer = network_.layers[i];
      // From the first layer that only reads the cache on, rows without logits have no effect.
      if (!layer.k) narrow_to_logit_rows();
      if (rows_.positions.empty()) return true;
      attend(layer);
      feed_forward(layer, static_cast<int64_t>(i));
      if (layer.per_layer) add_per_layer_input(layer, static_cast<int64_t>(i));
      if (i + 1 < network_.layers.size()) observe_hidden(static_cast<int64_t>(i) + 1);
    }
    narrow_to_logit_rows();
    if (rows_.positions.empty()) return true;
    backend_.rms_norm(stream(), network_.final_norm.get(), config_.norm_epsilon, *w_.normed_);
    if (observer_ != nullptr) {
      observer_->on_hidden(static_cast<int64_t>(network_.layers.size()), backend_.read(*w_.normed_));
    }
    backend_.head(*w_.normed_, network_.head_matrix(), config_.logit_soft_cap, logits);
    return true;
  }

 private:
  Buffer& stream() { return is_narrow_ ? *w_.narrowed_ : *w_.stream_; }
  const Buffer& per_layer_inputs() const { return is_narrow_ ? *w_.per_layer_narrow_ : *w_.per_layer_; }

  void embed() {
    // The published models round the embedding's scale to bf16; it is the only constant rounded.
    const float scale =
        round_to_bf16(static_cast<float>(std::sqrt(static_cast<double>(config_.hidden_size))));
    backend_.embed(*network_.embedding, batch_.tokens, scale, *w_.stream_);
    observe_hidden(0);
    if (config_.has_per_layer_inputs()) make_per_layer_inputs();
  }

  // p = (rms(W x * D^(-1/2)) + E[token] * P^(1/2)) * 2^(-1/2), in rows of P, one for each layer.
  void make_per_layer_inputs() {
    const auto width = static_cast<double>(config_.per_layer_input_size);
    Buffer& embedded = *w_.q_;  // not in use yet
    backend_.embed(*network_.per_layer_embedding, batch_.tokens, static_cast<float>(std::sqrt(width)),
                   embedded);
    const backend::LinearOutput projection = {network_.per_layer_model_projection.get(), w_.per_layer_.get()};
    backend_.linear(*w_.stream_, {&projection, 1});
    // The factor D^(-1/2) before the norm scales its epsilon by D instead.
    const float epsilon = config_.norm_epsilon * static_cast<float>(config_.hidden_size);
    const int64_t all_layers = w_.per_layer_->width();
    w_.per_layer_->reshape(config_.per_layer_input_size);
    backend_.rms_norm(*w_.per_layer_, network_.per_layer_projection_norm.get(), epsilon, *w_.per_layer_);
    w_.per_layer_->reshape(all_layers);
    backend_.add_scaled(*w_.per_layer_, embedded, static_cast<float>(std::sqrt(0.5)));
  }

  // x += rms(o(attention(rms(x))))
  void attend(const LayerWeights& layer) {
    backend_.rms_norm(stream(), layer.input_norm.get(), config_.norm_epsilon, *w_.normed_);
    std::vector<backend::LinearOutput> projections = {{layer.q.get(), w_.q_.get()}};
    if (layer.k) projections.push_back({layer.k.get(), w_.k_.get()});
    if (layer.v) projections.push_back({layer.v.get(), w_.v_.get()});
    backend_.linear(*w_.normed_, projections);
    const Buffer* keys = layer.k ? w_.k_.get() : nullptr;
    const Buffer* values = layer.v ? w_.v_.get() : keys;
    backend_.rotate_and_cache(layer.attention, rows_, *w_.q_, keys, values, cache_);
    backend_.attention(layer.attention, rows_, *w_.q_, cache_, *w_.attention_);
    const backend::LinearOutput output = {layer.o.get(), w_.update_.get()};
    backend_.linear(*w_.attention_, {&output, 1});
    backend_.add_normed(stream(), *w_.update_, layer.post_attention_norm.get(), config_.norm_epsilon, 1.0F);
  }

  // x += rms(mlp(rms(x))), or with experts x += rms(rms(mlp(rms(x))) + rms(experts(rms(x)))).
  void feed_forward(const LayerWeights& layer, int64_t index) {
    backend::FeedForward arguments = {
        .dense = {.gate_up = layer.mlp.gate_up.get(), .down = layer.mlp.down.get()},
        .dense_in = w_.normed_.get(),
        .dense_out = w_.update_.get(),
        .experts = {},
        .routing = nullptr,
        .experts_in = nullptr,
        .experts_out = nullptr};
    if (layer.moe) {
      route(*layer.moe, index);
      backend_.rms_norm(stream(), layer.moe->pre_norm_2.get(), config_.norm_epsilon, *w_.experts_in_);
      arguments.experts = layer.moe->expert_handles;
      arguments.routing = w_.routing_.get();
      arguments.experts_in = w_.experts_in_.get();
      arguments.experts_out = w_.experts_out_.get();
    }
    backend_.rms_norm(stream(), layer.pre_norm.get(), config_.norm_epsilon, *w_.normed_);
    backend_.feed_forward(arguments);
    if (layer.moe) {
      backend_.rms_norm(*w_.update_, layer.moe->post_norm_1.get(), config_.norm_epsilon, *w_.update_);
      backend_.add_normed(*w_.update_, *w_.experts_out_, layer.moe->post_norm_2.get(), config_.norm_epsilon,
                          1.0F);
    }
    const float scale = layer.per_layer ? 1.0F : layer.output_scale;
    backend_.add_normed(stream(), *w_.update_, layer.post_norm.get(), config_.norm_epsilon, scale);
  }

  // The router sees the residual stream under a norm of its own, not the experts' input.
  void route(const MoeWeights& moe, int64_t index) {
    backend_.rms_norm(stream(), moe.router_scale.get(), config_.norm_epsilon, *w_.normed_);
    const backend::Router router = {.projection = moe.router_projection.get(),
                                    .per_expert_scale = moe.per_expert_scale.get(),
                                    .top_k = config_.experts_per_token};
    const std::span<const int32_t> forced =
        observer_ != nullptr ? observer_->forced_experts(index) : std::span<const int32_t>();
    backend_.route(router, *w_.normed_, forced, *w_.routing_);
    if (observer_ != nullptr) observer_->on_experts(index, backend_.read_experts(*w_.routing_));
  }

  // x = (x + rms(W2 (gelu(W1 x) * p[layer]))) * layer_scalar
  void add_per_layer_input(const LayerWeights& layer, int64_t index) {
    const PerLayerInputWeights& per_layer = *layer.per_layer;
    const backend::LinearOutput gate = {per_layer.gate.get(), w_.per_layer_gate_.get()};
    backend_.linear(stream(), {&gate, 1});
    backend_.gelu_gate(*w_.per_layer_gate_, per_layer_inputs(), index * config_.per_layer_input_size);
    const backend::LinearOutput projection = {per_layer.projection.get(), w_.update_.get()};
    backend_.linear(*w_.per_layer_gate_, {&projection, 1});
    backend_.add_normed(stream(), *w_.update_, per_layer.post_norm.get(), config_.norm_epsilon,
                        layer.output_scale);
  }

  void narrow_to_logit_rows() {
    if (is_narrow_) return;
    if (batch_.logit_rows.size() == batch_.tokens.size()) return;
    backend_.gather_rows(*w_.stream_, batch_.logit_rows, *w_.narrowed_);
    if (config_.has_per_layer_inputs()) {
      backend_.gather_rows(*w_.per_layer_, batch_.logit_rows, *w_.per_layer_narrow_);
    }
    for (const int32_t row : batch_.logit_rows) {
      narrow_sequences_.push_back(batch_.rows.sequences[static_cast<size_t>(row)]);
      narrow_positions_.push_back(batch_.rows.positions[static_cast<size_t>(row)]);
    }
    rows_.sequences = narrow_sequences_;
    rows_.positions = narrow_positions_;
    is_narrow_ = true;
  }

  void observe_hidden(int64_t index) {
    if (observer_ != nullptr) observer_->on_hidden(index, backend_.read(stream()));
  }

  const Network& network_;
  const checkpoint::ModelConfig& config_;
  backend::Backend& backend_;
  const Batch& batch_;
  backend::Cache& cache_;
  Workspace& w_;
  Observer* observer_;
  backend::Rows rows_;      // those still being computed
  bool is_narrow_ = false;  // only the rows that need logits are left
  std::vector<int32_t> narrow_sequences_, narrow_positions_;
};

bool forward(const Network& network, backend::Backend& backend, const Batch& batch, backend::Cache& cache,
             Workspace& workspace, std::span<float> logits) {
  return ForwardPass(network, backend, batch, cache, workspace).run(logits);
}

}  // namespace beryl::model
