// The text network's dimensions and constants, from config.json in every generation that has been published.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace beryl::checkpoint {

enum class AttentionKind : uint8_t { kSliding, kFull };

// Pair i of a head turns by theta^(-2i / head_dim) a position, for i below partial_factor * head_dim / 2; the
// other pairs do not turn.
struct RotaryConfig {
  double theta = 0;
  double partial_factor = 1;  // rotated share of the head
};

struct LayerConfig {
  AttentionKind attention = AttentionKind::kSliding;
  int64_t head_dim = 0;
  int64_t kv_heads = 0;
  int64_t intermediate_size = 0;  // width of the dense MLP
  // The values are the keys' projection, taken before its norm; the layer has no v_proj.
  bool v_is_k = false;
  // The layer whose keys and values this one attends over; its own index when it has its own.
  int64_t kv_source = 0;
};

struct ModelConfig {
  std::string model_type;       // of the top level: gemma4, gemma4_unified, ...
  int64_t hidden_size = 0;      // D
  int64_t vocabulary_size = 0;  // V
  int64_t heads = 0;            // H
  int64_t sliding_window = 0;
  int64_t position_count_max = 0;
  float norm_epsilon = 0;
  float logit_soft_cap = 0;          // 0: none
  bool ties_head = true;             // the head is the embedding table
  int64_t per_layer_input_size = 0;  // P, 0 without per-layer embeddings
  int64_t per_layer_vocabulary_size = 0;
  int64_t expert_count = 0;  // E, 0 in dense models
  int64_t experts_per_token = 0;
  int64_t expert_intermediate_size = 0;
  RotaryConfig sliding_rotary;
  RotaryConfig full_rotary;
  std::vector<LayerConfig> layers;

  bool is_moe() const { return expert_count > 0; }
  bool has_per_layer_inputs() const { return per_layer_input_size > 0; }
};

// Parses the text of config.json; `source` names it in errors. Errors: kUnsupported for a model type,
// activation or rotary scheme that is not Gemma 4's; kInvalidInput for fields that are missing, out of range
// or contradict each other. Messages name the field, what was found and what is expected.
ModelConfig parse_model_config(const nlohmann::json& config, std::string_view source);

}  // namespace beryl::checkpoint
