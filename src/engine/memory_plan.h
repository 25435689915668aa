// How a machine's memory is divided: weights, keys and values, and what later requests may begin with. Made
// before anything is loaded, printed, and refused when it does not fit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "backend/backend.h"
#include "checkpoint/model_config.h"
#include "engine/engine_options.h"

namespace beryl::engine {

// What the user asked for; what is absent is fitted to the memory that there is.
struct MemoryWishes {
  std::optional<int64_t> context = {};        // tokens of one text
  std::optional<uint64_t> kv_bytes = {};      // keys and values of all texts and of the prefix cache
  std::optional<uint64_t> prefix_bytes = {};  // of these, at most so many for windows of the prefix cache
  int64_t sequences = 1;                      // texts in progress at a time
  int64_t context_default = 8192;             // when no context is asked for: at most this
};

struct MemoryPlan {
  EngineOptions options;  // context_max, sequences_max and the pages are set
  uint64_t weight_bytes = 0;
  uint64_t kv_bytes = 0;      // of all pages
  uint64_t prefix_bytes = 0;  // of these, what the prefix cache may hold of the sliding ones
  uint64_t working_bytes = 0;
  uint64_t available_bytes = 0;
  std::string context_reason;  // why the context is as long as it is, for people

  uint64_t total_bytes() const { return weight_bytes + kv_bytes + working_bytes; }
};

// Errors: kResource with both numbers when weights and one text of the context do not fit into
// `available_bytes`, or into the memory for keys and values that was asked for.
MemoryPlan plan_memory(const checkpoint::ModelConfig& config, const backend::Backend& backend,
                       uint64_t weight_bytes, uint64_t available_bytes, const MemoryWishes& wishes);

}  // namespace beryl::engine
