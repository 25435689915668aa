// Matrix kernels alone: decode from memory (one token over weights larger than any cache) and prefill (many
// tokens over one task's panels), per format. Counters give bytes of published codes and scales per second,
// and operations per second; compare them with the read bandwidth and the register peak that the run prints
// first.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/cpu/made_up.h"
#include "backend/cpu/pack.h"
#include "backend/cpu/packed_for_tests.h"
#include "backend/cpu/panel_jobs.h"
#include "backend/cpu/thread_pool.h"
#include "backend/cpu/weight_arena.h"

namespace beryl::backend {
namespace {

constexpr uint64_t kWeightBytes = uint64_t{512} << 20;
constexpr int64_t kCols = 2816;

PackedLayout large_layout(const formats::Scheme& scheme, int64_t cols, uint64_t bytes) {
  const PackedLayout four(scheme, 4 * kPanelRows, cols);
  return {scheme, static_cast<int64_t>(bytes / four.bytes()) * four.rows, cols};
}

// A matrix of about `bytes` bytes that repeats four made-up panels.
struct LargeMatrix {
  LargeMatrix(const formats::Scheme& scheme, int64_t cols, uint64_t bytes)
      : layout(large_layout(scheme, cols, bytes)), arena(layout.bytes()), matrix(layout, arena.data()) {
    formats::RowParts parts;
    make_up_rows(layout, 4 * kPanelRows, 1, parts);
    for (int64_t panel = 0; panel < 4; ++panel) {
      const PanelRows from{.parts = &parts,
                           .code_row_bytes = made_up_row_bytes(layout),
                           .first = panel * kPanelRows,
                           .count = kPanelRows};
      pack_panel(layout, from, arena.data() + panel * layout.panel_bytes);
    }
    for (int64_t panel = 4; panel < layout.panels; panel += 4) {
      std::memcpy(arena.data() + panel * layout.panel_bytes, arena.data(),
                  static_cast<size_t>(4 * layout.panel_bytes));
    }
  }

  PackedLayout layout;
  WeightArena arena;
  PackedMatrix matrix;
};

void multiply(benchmark::State& state, const TestScheme& scheme, Isa isa, int64_t tokens,
              uint64_t weight_bytes) {
  ThreadPool pool(static_cast<int>(std::thread::hardware_concurrency()));
  PanelRunner runner(kernels_of(isa), vector_kernels(isa), pool);
  LargeMatrix large(scheme.of(kCols), kCols, weight_bytes);
  ActivationRows x(vector_kernels(isa));
  x.resize(tokens, kCols, true);
  const std::vector<float> numbers = random_floats(tokens * kCols, 3);
  for (int64_t t = 0; t < tokens; ++t) x.store(t, 0, numbers.data() + t * kCols, kCols);
  std::vector<float> y(static_cast<size_t>(tokens * large.layout.rows));
  const PanelJob job{.matrix = &large.matrix, .x = x.view(), .tokens = tokens, .y = y.data()};
  for (auto _ : state) {
    runner.run({&job, 1});
    benchmark::DoNotOptimize(y.data());
  }
  const auto runs = static_cast<double>(state.iterations());
  state.counters["GB/s"] =
      benchmark::Counter(runs * static_cast<double>(large.layout.bytes()) / 1e9, benchmark::Counter::kIsRate);
  state.counters["GFLOP/s"] = benchmark::Counter(
      runs * 2e-9 * static_cast<double>(large.layout.rows * kCols * tokens), benchmark::Counter::kIsRate);
}

void add_all() {
  for (const Isa isa : available_isas()) {
    for (const TestScheme& scheme : all_test_schemes()) {
      const std::string name = std::string(isa_name(isa)) + "/" + scheme.name;
      const auto add = [&](const std::string& kind, int64_t tokens, uint64_t bytes) {
        benchmark::RegisterBenchmark((kind + "/" + name).c_str(), [=](benchmark::State& state) {
          multiply(state, scheme, isa, tokens, bytes);
        })->UseRealTime();
      };
      add("decode", 1, kWeightBytes);
      add("decode_in_cache", 1, uint64_t{1} << 20);
      add("batch8", 8, kWeightBytes);
      add("prefill", 256, uint64_t{16} << 20);
    }
  }
}

}  // namespace
}  // namespace beryl::backend

int main(int argc, char** argv) {
  beryl::backend::add_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
