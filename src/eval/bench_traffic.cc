#include "eval/bench_traffic.h"

#include <algorithm>

namespace beryl::eval {
namespace {

using checkpoint::LayerConfig;
using checkpoint::ModelConfig;
using checkpoint::Part;
using checkpoint::Role;
using checkpoint::WeightMap;

bool is_of_one_expert(Part part) {
  return part == Part::kExpertGate || part == Part::kExpertUp || part == Part::kExpertDown;
}

// The matrix of the head: the embedding where there is none of its own.
bool is_head(const Role& role, const WeightMap& weights) {
  if (role.part == Part::kHead) return true;
  return role.part == Part::kEmbedding && weights.find({Part::kHead, -1, -1}) == nullptr;
}

bool is_table(const Role& role, const WeightMap& weights) {
  return role.part == Part::kPerLayerEmbedding || (role.part == Part::kEmbedding && !is_head(role, weights));
}

// How many layers all tokens of a prompt pass through: those before the first that has no keys of its own.
size_t layers_of_all_tokens(const ModelConfig& config) {
  for (size_t i = 0; i < config.layers.size(); ++i) {
    if (config.layers[i].kv_source != static_cast<int64_t>(i)) return i;
  }
  return config.layers.size();
}

}  // namespace

DecodeBytes decode_bytes(const ModelConfig& config, const WeightMap& weights) {
  DecodeBytes bytes;
  uint64_t experts = 0;
  for (const auto& [role, weight] : weights.weights()) {
    const uint64_t published = weight.matrix.published_bytes();
    if (is_of_one_expert(role.part)) {
      experts += published;
    } else if (is_table(role, weights)) {
      bytes.table_row += published / static_cast<uint64_t>(std::max<int64_t>(1, weight.matrix.rows));
    } else {
      bytes.shared += published;
    }
  }
  if (config.is_moe())
    bytes.expert = experts / static_cast<uint64_t>(config.expert_count) / config.layers.size();
  return bytes;
}

uint64_t cache_bytes_read(const ModelConfig& config, backend::Compute compute, int64_t depth) {
  const int64_t number_bytes = compute == backend::Compute::kF32 ? 4 : 2;
  int64_t bytes = 0;
  for (const LayerConfig& layer : config.layers) {
    const bool is_sliding = layer.attention == checkpoint::AttentionKind::kSliding;
    const int64_t keys = is_sliding ? std::min(depth, config.sliding_window) : depth;
    bytes += keys * 2 * layer.kv_heads * layer.head_dim * number_bytes;
  }
  return static_cast<uint64_t>(bytes);
}

double prefill_operations(const ModelConfig& config, const WeightMap& weights, int64_t tokens) {
  const size_t whole_layers = layers_of_all_tokens(config);
  const double all = static_cast<double>(tokens);
  double sum = 0;
  for (const auto& [role, weight] : weights.weights()) {
    const formats::QuantMatrix& matrix = weight.matrix;
    if (matrix.cols == 1 || is_table(role, weights)) continue;
    double rows_of_batch = role.layer >= 0 && static_cast<size_t>(role.layer) < whole_layers ? all : 1;
    if (role.part == Part::kPerLayerModelProjection) {
      // Its outputs belong to one layer each.
      const double share = static_cast<double>(whole_layers) / static_cast<double>(config.layers.size());
      rows_of_batch = share * all + (1 - share);
    }
    if (is_of_one_expert(role.part)) {
      rows_of_batch *=
          static_cast<double>(config.experts_per_token) / static_cast<double>(config.expert_count);
    }
    sum += 2 * static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols) * rows_of_batch;
  }
  return sum;
}

}  // namespace beryl::eval
