// Products of many packed matrices as one list of work, split over threads by panels.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/cpu/packed_matrix.h"
#include "backend/cpu/thread_pool.h"
#include "backend/cpu/vector_kernels.h"

namespace beryl::backend {

// Rows of activations, float32 or bf16. Rows of bf16 have zeros behind their last number up to a multiple of
// kSegmentInputs.
struct Activations {
  const void* data = nullptr;
  bool is_bf16 = false;
  int64_t rows = 0;
  int64_t stride = 0;  // numbers from one row to the next

  const float* floats() const { return static_cast<const float*>(data); }
  const uint16_t* bf16() const { return static_cast<const uint16_t*>(data); }
};

// Rows of activations of one of the two types, which keep their memory.
class ActivationRows {
 public:
  explicit ActivationRows(const VectorKernels& vectors = portable_vector_kernels()) : vectors_(&vectors) {}

  // Sets the shape; what lies behind each bf16 row is zero.
  void resize(int64_t rows, int64_t width, bool is_bf16);
  Activations view() const { return rows_from(0, rows_); }
  Activations rows_from(int64_t first, int64_t count) const;
  // Stores `count` numbers from column `first` of a row on.
  void store(int64_t row, int64_t first, const float* values, int64_t count);

 private:
  const VectorKernels* vectors_;
  bool is_bf16_ = false;
  int64_t rows_ = 0;
  int64_t width_ = 0;
  int64_t stride_ = 0;
  std::vector<float> floats_;
  std::vector<uint16_t> bf16_;
};

// What to do with the outputs of a matrix.
enum class JobOutput : uint8_t {
  kStore,      // y[t, n] = x[t] . row n
  kGatedGelu,  // panels alternate gate and up: hidden[t, f] = gelu_tanh(gate f) * up f
};

struct PanelJob {
  const PackedMatrix* matrix = nullptr;
  JobOutput output = JobOutput::kStore;
  Activations x;                    // [rows, cols]
  const int32_t* x_rows = nullptr;  // [tokens], the row of each token; null: 0, 1, 2, ...
  int64_t tokens = 0;
  float* y = nullptr;                // of kStore: [tokens, rows]
  ActivationRows* hidden = nullptr;  // of kGatedGelu: rows hidden_row ... of it, [.., rows / 2]
  int64_t hidden_row = 0;
};

// Runs lists of jobs. Each thread begins with a contiguous share of the panels of a list, weighed by the
// arithmetic they need, and when it is done helps others with theirs.
class PanelRunner {
 public:
  PanelRunner(const Kernels& kernels, const VectorKernels& vectors, ThreadPool& pool);
  ~PanelRunner();

  // Runs all jobs and waits.
  void run(std::span<const PanelJob> jobs);

 private:
  struct Scratch;
  struct Share;

  const Kernels& kernels_;
  const VectorKernels& vectors_;
  ThreadPool& pool_;
  std::vector<std::unique_ptr<Scratch>> scratch_;  // one a thread
  std::vector<Share> shares_;                      // one a thread
};

}  // namespace beryl::backend
