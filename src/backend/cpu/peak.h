// The rate at which this processor multiplies and adds when no memory is in the way: what bounds prefill.
#pragma once

#include <chrono>
#include <cstdint>

#include "backend/cpu/isa.h"

namespace beryl::backend {

// Multiplies and adds in registers only, in as many independent chains as hide the latency.
struct PeakLoop {
  int64_t operations = 0;  // of one round: multiplications and additions
  // Runs that many rounds. What it returns depends on all of them.
  float (*run)(int64_t rounds) = nullptr;
};

// With bf16 dot products where the set has them, otherwise float32 multiply-adds.
PeakLoop peak_loop(Isa isa);

// Operations a second of `threads` >= 1 threads together, measured for about `duration`.
double measure_multiply_peak(Isa isa, int threads, std::chrono::duration<double> duration);

PeakLoop peak_portable();
#if defined(__x86_64__)
PeakLoop peak_avx2();
PeakLoop peak_avx512();
PeakLoop peak_avx512_bf16();
#endif

}  // namespace beryl::backend
