// model: Gemma 4's text network, over backend handles.
//
// In:  a checkpoint's configuration and WeightMap; batches of tokens with page tables.
// Out: logits.
// Must never know: how weights are packed or computed with (only backend/backend.h), text, requests, files.
//
// Read first: this header, then forward.cc, which is the network.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "base/progress.h"
#include "checkpoint/model_config.h"
#include "checkpoint/weight_map.h"

namespace beryl::model {

using MatrixPtr = std::unique_ptr<backend::Matrix>;
using VectorPtr = std::unique_ptr<backend::Vector>;

// A gated MLP: gate and up as one matrix, and down.
struct MlpWeights {
  MatrixPtr gate_up;  // [2F, D]
  MatrixPtr down;     // [D, F]
};

struct MoeWeights {
  MatrixPtr router_projection;               // [E, D]
  VectorPtr router_scale;                    // [D], times D^(-1/2)
  VectorPtr per_expert_scale;                // [E]
  VectorPtr pre_norm_2;                      // [D]
  VectorPtr post_norm_1;                     // [D]
  VectorPtr post_norm_2;                     // [D]
  std::vector<MlpWeights> experts;           // [E]
  std::vector<backend::Mlp> expert_handles;  // [E], views of `experts`
};

// Of models with per-layer embeddings; P is their width.
struct PerLayerInputWeights {
  MatrixPtr gate;        // [P, D]
  MatrixPtr projection;  // [D, P]
  VectorPtr post_norm;   // [D]
};

struct LayerWeights {
  backend::AttentionLayer attention;
  VectorPtr input_norm;           // [D]
  VectorPtr post_attention_norm;  // [D]
  VectorPtr q_norm, k_norm;       // [head_dim]; k_norm like k
  VectorPtr inv_freq;             // [head_dim / 2], rotary frequencies
  MatrixPtr q;                    // [H * head_dim, D]
  MatrixPtr k;                    // [G * head_dim, D]; null in layers that reuse another's keys and values
  MatrixPtr v;                    // like k; null where the values are the keys' projection
  MatrixPtr o;                    // [D, H * head_dim]
  VectorPtr pre_norm;             // [D], before the dense MLP
  VectorPtr post_norm;            // [D], after the sum of dense MLP and experts
  MlpWeights mlp;
  std::unique_ptr<MoeWeights> moe;                  // null in dense models
  std::unique_ptr<PerLayerInputWeights> per_layer;  // null without per-layer embeddings
  float output_scale = 1;                           // layer_scalar
};

struct Network {
  checkpoint::ModelConfig config;
  MatrixPtr embedding;  // [V, D]
  MatrixPtr head;       // [V, D]; null when it is the embedding
  VectorPtr final_norm;
  MatrixPtr per_layer_embedding;         // [V, L * P]; null without per-layer embeddings
  MatrixPtr per_layer_model_projection;  // [L * P, D]
  VectorPtr per_layer_projection_norm;   // [P]
  std::vector<LayerWeights> layers;

  const backend::Matrix& head_matrix() const { return head ? *head : *embedding; }
};

// Reads all weights into the backend. Errors: kIo, kInvalidInput (a non-finite weight or scale, named),
// kUnsupported, kResource. The backend must outlive the network,
// and so must the checkpoint's files, of which the backend may read a table of embeddings row by row.
Network load_network(const checkpoint::ModelConfig& config, const checkpoint::WeightMap& weights,
                     backend::Backend& backend, Progress& progress);

// The layers that hold keys and values of their own, for CacheShape::layers.
std::vector<backend::CacheLayer> cache_layers(const checkpoint::ModelConfig& config);

// Memory that load_network() will take in the backend, in bytes. Errors: kUnsupported.
uint64_t resident_bytes(const checkpoint::ModelConfig& config, const checkpoint::WeightMap& weights,
                        const backend::Backend& backend);

}  // namespace beryl::model
