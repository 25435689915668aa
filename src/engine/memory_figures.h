// What a model takes of a machine's memory, and of its bandwidth: from descriptions alone, before anything is
// loaded.
#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "checkpoint/model_config.h"
#include "checkpoint/weight_map.h"

namespace beryl::engine {

// Activations and scratch of a pass; measured well below this for the published sizes.
inline constexpr uint64_t kWorkingBytes = uint64_t{200} << 20;

struct WeightFigures {
  uint64_t resident_bytes = 0;  // as model::resident_bytes()
  // Of these, what a decode step of one sequence reads: the experts that a token is routed to, the head, one
  // row of each table.
  uint64_t bytes_per_token = 0;
};

// Errors: those of model::resident_bytes(), which loading would give as well.
WeightFigures weight_figures(const checkpoint::ModelConfig& config, const checkpoint::WeightMap& weights,
                             const backend::Backend& backend);

// Keys and values of one token in all layers of a kind that hold some.
struct CacheFigures {
  uint64_t sliding_bytes_per_token = 0;
  uint64_t full_bytes_per_token = 0;
};

CacheFigures cache_figures(const checkpoint::ModelConfig& config, const backend::Backend& backend);

// Memory of the cache of one sequence of `tokens` tokens.
uint64_t cache_bytes(const checkpoint::ModelConfig& config, const backend::Backend& backend, int64_t tokens);

// The longest sequence, of at most the model's positions, whose cache fits in `bytes`; 0 when none does.
int64_t context_that_fits(const checkpoint::ModelConfig& config, const backend::Backend& backend,
                          uint64_t bytes);

// Keys and values that a decode step reads after `tokens` tokens. A layer that reuses another's reads them
// again.
uint64_t cache_bytes_read(const checkpoint::ModelConfig& config, const backend::Backend& backend,
                          int64_t tokens);

}  // namespace beryl::engine
