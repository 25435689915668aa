#include "engine/memory_figures.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/sequence.h"
#include "model/network.h"

namespace beryl::engine {
namespace {

using backend::CacheLayer;
using backend::LayerKind;
using checkpoint::LayerConfig;
using checkpoint::ModelConfig;
using checkpoint::Part;
using checkpoint::Role;

// Memory of one token in those of the layers that are of a kind.
uint64_t bytes_per_token(std::vector<CacheLayer> layers, LayerKind kind, const backend::Backend& backend) {
  const bool is_sliding = kind == LayerKind::kSliding;
  return backend.cache_bytes({.layers = std::move(layers),
                              .tokens_per_page = 1,
                              .sliding_pages = is_sliding ? 1 : 0,
                              .full_pages = is_sliding ? 0 : 1});
}

// Every layer with the keys and values that it reads, be they its own or another's.
std::vector<CacheLayer> layers_read(const ModelConfig& config) {
  std::vector<CacheLayer> layers;
  for (const LayerConfig& layer : config.layers) {
    const bool is_sliding = layer.attention == checkpoint::AttentionKind::kSliding;
    layers.push_back({.kind = is_sliding ? LayerKind::kSliding : LayerKind::kFull,
                      .kv_heads = layer.kv_heads,
                      .head_dim = layer.head_dim});
  }
  return layers;
}

bool is_of_one_expert(Part part) {
  return part == Part::kExpertGate || part == Part::kExpertUp || part == Part::kExpertDown;
}

}  // namespace

WeightFigures weight_figures(const ModelConfig& config, const checkpoint::WeightMap& weights,
                             const backend::Backend& backend) {
  WeightFigures figures;
  figures.resident_bytes = model::resident_bytes(config, weights, backend);
  const bool is_head_tied = weights.find({Part::kHead, -1, -1}) == nullptr;
  uint64_t experts = 0;
  for (const auto& [role, weight] : weights.weights()) {
    if (weight.matrix.cols == 1) continue;  // vectors take next to nothing
    const uint64_t bytes = backend.resident_bytes({.name = weight.module, .matrix = weight.matrix, .up = {}});
    const bool is_table =
        role.part == Part::kPerLayerEmbedding || (role.part == Part::kEmbedding && !is_head_tied);
    if (is_of_one_expert(role.part)) {
      experts += bytes;
    } else {
      figures.bytes_per_token += is_table ? bytes / static_cast<uint64_t>(weight.matrix.rows) : bytes;
    }
  }
  if (config.is_moe()) {
    figures.bytes_per_token += experts / static_cast<uint64_t>(config.expert_count) *
                               static_cast<uint64_t>(config.experts_per_token);
  }
  return figures;
}

CacheFigures cache_figures(const ModelConfig& config, const backend::Backend& backend) {
  const std::vector<CacheLayer> layers = model::cache_layers(config);
  return {.sliding_bytes_per_token = bytes_per_token(layers, LayerKind::kSliding, backend),
          .full_bytes_per_token = bytes_per_token(layers, LayerKind::kFull, backend)};
}

uint64_t cache_bytes(const ModelConfig& config, const backend::Backend& backend, int64_t tokens) {
  return backend.cache_bytes(cache_shape(model::cache_layers(config), {.tokens_max = tokens}));
}

int64_t context_that_fits(const ModelConfig& config, const backend::Backend& backend, uint64_t bytes) {
  int64_t fits = 0;
  int64_t too_long = config.position_count_max + 1;
  while (too_long - fits > 1) {
    const int64_t tokens = fits + (too_long - fits) / 2;
    (cache_bytes(config, backend, tokens) <= bytes ? fits : too_long) = tokens;
  }
  return fits;
}

uint64_t cache_bytes_read(const ModelConfig& config, const backend::Backend& backend, int64_t tokens) {
  const std::vector<CacheLayer> layers = layers_read(config);
  const auto full = static_cast<uint64_t>(tokens);
  const auto sliding = static_cast<uint64_t>(std::min(tokens, config.sliding_window));
  return full * bytes_per_token(layers, LayerKind::kFull, backend) +
         sliding * bytes_per_token(layers, LayerKind::kSliding, backend);
}

}  // namespace beryl::engine
