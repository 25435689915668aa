#include "backend/cpu/peak.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <thread>
#include <vector>

namespace beryl::backend {
namespace {

using Clock = std::chrono::steady_clock;

// Rounds between two looks at the clock: some tens of microseconds.
constexpr int64_t kRoundsAtOnce = 10'000;

using Quad = float __attribute__((vector_size(16)));

float run_portable(int64_t rounds) {
  constexpr size_t kChains = 10;
  Quad sums[kChains] = {};
  Quad a = {1.0F, 1.0F, 1.0F, 1.0F};
  Quad b = {0x1p-10F, 0x1p-10F, 0x1p-10F, 0x1p-10F};
  for (int64_t i = 0; i < rounds; ++i) {
    asm volatile("" : "+x"(a), "+x"(b));  // or the product would be taken out of the loop
#pragma GCC unroll 10
    for (Quad& sum : sums) sum = sum * a + b;
  }
  Quad total = {};
  for (const Quad& sum : sums) total += sum;
  return total[0];
}

}  // namespace

PeakLoop peak_portable() {
  return {.operations = 10 * 4 * 2, .run = run_portable};
}

PeakLoop peak_loop([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx2) return peak_avx2();
  if (isa == Isa::kAvx512) return peak_avx512();
  if (isa == Isa::kAvx512Bf16) return peak_avx512_bf16();
#endif
  return peak_portable();
}

double measure_multiply_peak(Isa isa, int threads, std::chrono::duration<double> duration) {
  const PeakLoop loop = peak_loop(isa);
  const auto count = static_cast<size_t>(std::max(1, threads));
  std::vector<double> rates(count);
  std::atomic<float> sink{0};
  std::barrier together(static_cast<std::ptrdiff_t>(count));
  const auto work = [&](size_t thread) {
    sink = loop.run(kRoundsAtOnce);  // wakes the wide units
    together.arrive_and_wait();
    const Clock::time_point start = Clock::now();
    std::chrono::duration<double> passed{};
    int64_t rounds = 0;
    do {
      sink = loop.run(kRoundsAtOnce);
      rounds += kRoundsAtOnce;
      passed = Clock::now() - start;
    } while (passed < duration);
    rates[thread] = static_cast<double>(rounds * loop.operations) / passed.count();
  };
  {
    std::vector<std::jthread> others;
    for (size_t thread = 1; thread < count; ++thread) others.emplace_back(work, thread);
    work(0);
  }
  double total = 0;
  for (const double rate : rates) total += rate;
  return total;
}

}  // namespace beryl::backend
