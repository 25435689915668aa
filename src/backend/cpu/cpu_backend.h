// The backend for ordinary processors: packed weights, a pool of threads, kernels chosen at run time.
//
// Reading order: packed_matrix.h (layout), kernels.h (inner loops), panel_jobs.h (how products are shared
// out), attention.h, then this class, which ties them together.
#pragma once

#include <memory>
#include <string_view>

#include "backend/backend.h"

namespace beryl::backend {

struct CpuOptions {
  int threads = 1;
  Compute compute = Compute::kBf16;
  bool pins_threads = false;  // each to a processor of its own
  // Weights stay in their files, which must outlive the backend, and are packed anew each time that they are
  // used: slower by far, with the same bits, for models larger than the memory.
  bool leaves_weights_in_files = false;
};

// Errors: of pinned threads, as ThreadPool::pin().
std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options);

// The name of the kernel set that this processor gets.
std::string_view cpu_kernel_name();

}  // namespace beryl::backend
