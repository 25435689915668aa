// All that `beryl inspect` shows, as figures.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/machine.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/weight_report.h"
#include "cli/loaded_model.h"
#include "engine/memory_figures.h"

namespace beryl::cli {

// The cache of one sequence.
struct ContextFigures {
  int64_t tokens = 0;
  uint64_t bytes = 0;
  bool fits = false;  // beside the weights
};

// Decoding that does nothing but read memory.
struct SpeedFigures {
  int threads = 0;
  double read_bytes_per_second = 0;
  int64_t context_tokens = 0;
  uint64_t cache_bytes_per_token = 0;
  double tokens_per_second = 0;
};

struct Inspection {
  checkpoint::WeightReport report;
  uint64_t file_bytes = 0;
  engine::WeightFigures weights;
  engine::CacheFigures cache;
  std::vector<ContextFigures> contexts;  // ascending
  uint64_t working_bytes = 0;            // of activations and the like
  MachineMemory machine;
  int64_t context_that_fits = 0;
  std::optional<SpeedFigures> speed;

  bool fits() const { return context_that_fits > 0; }
};

// Reads no weight. Measures this machine's memory for a fraction of a second if `with_speed`. Errors: what
// loading would refuse of the headers.
Inspection inspect(const checkpoint::Checkpoint& checkpoint, const ModelOptions& options, bool with_speed);

}  // namespace beryl::cli
