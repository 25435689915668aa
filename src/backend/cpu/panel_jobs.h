// Products of many packed matrices as one list of work, split over threads by panels.
#pragma once

#include <cstdint>
#include <span>

#include "backend/cpu/kernels.h"
#include "backend/cpu/packed_matrix.h"
#include "backend/cpu/thread_pool.h"

namespace beryl::backend {

// What to do with the outputs of a matrix.
enum class JobOutput : uint8_t {
  kStore,      // y[t, n] = x[t] . row n
  kGatedGelu,  // panels alternate gate and up: y[t, f] = gelu_tanh(gate f) * up f
};

struct PanelJob {
  const PackedMatrix* matrix = nullptr;
  JobOutput output = JobOutput::kStore;
  bool round_output = false;  // to bf16, for outputs that are the input of another linear
  const float* x = nullptr;   // [tokens, cols]
  int64_t tokens = 0;
  float* y = nullptr;  // [tokens, rows], or [tokens, rows / 2] when gated
};

// Runs all jobs and waits. Each thread takes one contiguous share of the panels of the list, weighed by the
// arithmetic they need; the shares depend only on the shapes and the thread count.
void run_panel_jobs(const Kernels& kernels, ThreadPool& pool, std::span<const PanelJob> jobs);

}  // namespace beryl::backend
