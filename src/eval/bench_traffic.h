// What a pass must read and compute at the least: what measured speeds are held against. Weights count at
// their published size, whatever a backend packs them to.
#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "checkpoint/model_config.h"
#include "checkpoint/weight_map.h"

namespace beryl::eval {

struct DecodeBytes {
  uint64_t shared = 0;     // weights that every step reads once: all linears but the experts', and the head
  uint64_t expert = 0;     // of one expert of one layer
  uint64_t table_row = 0;  // for each token: a row of each table that is not the head

  // Of a step that decodes `tokens` tokens and reads `experts` different experts, summed over the layers.
  uint64_t of_step(int64_t tokens, int64_t experts) const {
    return shared + static_cast<uint64_t>(experts) * expert + static_cast<uint64_t>(tokens) * table_row;
  }
};

DecodeBytes decode_bytes(const checkpoint::ModelConfig& config, const checkpoint::WeightMap& weights);

// Keys and values that a token at position `depth` reads, in bytes of the cache.
uint64_t cache_bytes_read(const checkpoint::ModelConfig& config, backend::Compute compute, int64_t depth);

// Multiplications and additions of the linear layers that a prompt of `tokens` tokens needs when only its
// last token needs logits: layers that only reuse keys and values, and the head, run for that one alone.
double prefill_operations(const checkpoint::ModelConfig& config, const checkpoint::WeightMap& weights,
                          int64_t tokens);

}  // namespace beryl::eval
