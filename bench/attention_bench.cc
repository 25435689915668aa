// attention_bench: attention in the shapes of the 26B mixture-of-experts model, which has 25 sliding layers
// (16 query heads, 8 of keys and values, head size 256, window 1,024) and 5 full ones (16, 2, 512).
//
// One iteration is what one pass through the network costs. Bytes are the keys and values that a pass must
// read; their rate stands next to the machine's read bandwidth, which is measured first.

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/files.h"
#include "base/memory_bandwidth.h"

namespace {

using namespace beryl::backend;

constexpr int64_t kPageTokens = 16;
constexpr int64_t kHeads = 16;
constexpr int64_t kTableRows = 64;
constexpr int64_t kSlidingLayers = 25;
constexpr int64_t kFullLayers = 5;

double bandwidth[3];  // [threads] bytes a second

// Rows of bf16 noise in a file without a name, which is where a backend takes numbers from.
beryl::File make_noise_file(int64_t numbers) {
  std::mt19937 random(1);
  std::vector<uint16_t> codes(static_cast<size_t>(numbers));
  for (uint16_t& code : codes) code = static_cast<uint16_t>((random() & 0x807fU) | (120 + random() % 8) << 7);
  std::string path = (std::filesystem::temp_directory_path() / "beryl-bench-XXXXXX").string();
  const int descriptor = ::mkstemp(path.data());
  const size_t bytes = codes.size() * sizeof(uint16_t);
  if (::write(descriptor, codes.data(), bytes) != static_cast<ssize_t>(bytes)) std::perror("write");
  ::close(descriptor);
  beryl::File file(path);
  ::unlink(path.c_str());
  return file;
}

// A kind of layers with one sequence in their cache.
class Layers {
 public:
  Layers(Backend& backend, LayerKind kind, int64_t layer_count, int64_t positions)
      : backend_(backend), kind_(kind), layer_count_(layer_count), positions_(positions) {
    const int64_t head_dim = kind == LayerKind::kSliding ? 256 : 512;
    const int64_t kv_heads = kind == LayerKind::kSliding ? 8 : 2;
    layer_ = {.kind = kind,
              .heads = kHeads,
              .kv_heads = kv_heads,
              .head_dim = head_dim,
              .window = 1024,
              .norm_epsilon = 1e-6F};
    norm_ = backend.upload_vector(std::vector<float>(static_cast<size_t>(head_dim), 0.2F));
    inv_freq_ = backend.upload_vector(std::vector<float>(static_cast<size_t>(head_dim / 2), 0.01F));
    layer_.q_norm = layer_.k_norm = norm_.get();
    layer_.inv_freq = inv_freq_.get();
    q_table_ = upload_noise(kHeads * head_dim);
    kv_table_ = upload_noise(kv_heads * head_dim);
    const int64_t first = kind == LayerKind::kSliding ? std::max<int64_t>(0, positions - 2048) : 0;
    make_cache(first / kPageTokens);
    for (int64_t at = first; at < positions; at += 512) {
      set_rows(at, std::min<int64_t>(512, positions - at));
      for (int64_t layer = 0; layer < layer_count; ++layer) cache_rows(layer);
    }
  }

  // The rows that attend: the last `rows` positions.
  void set_rows(int64_t first, int64_t rows) {
    row_positions_.resize(static_cast<size_t>(rows));
    std::iota(row_positions_.begin(), row_positions_.end(), static_cast<int32_t>(first));
    row_sequences_.assign(static_cast<size_t>(rows), 0);
    tables_ = {.sliding = pages_, .full = pages_};
    rows_ = {.sequences = row_sequences_, .positions = row_positions_, .tables = {&tables_, 1}};
    tokens_.resize(static_cast<size_t>(rows));
    for (size_t i = 0; i < tokens_.size(); ++i) tokens_[i] = static_cast<int32_t>(i * 7 % kTableRows);
    backend_.embed(*q_table_, tokens_, 1.0F, *q_);
    backend_.embed(*kv_table_, tokens_, 1.0F, *k_);
    backend_.rms_norm(*q_, nullptr, 1e-6F, *q_);
  }

  void cache_rows(int64_t layer) {
    layer_.cache_layer = layer;
    backend_.rotate_and_cache(layer_, rows_, *q_, k_.get(), k_.get(), *cache_);
  }

  void attend_all() {
    for (int64_t layer = 0; layer < layer_count_; ++layer) {
      layer_.cache_layer = layer;
      backend_.attention(layer_, rows_, *q_, *cache_, *out_);
    }
  }

  void cache_all() {
    for (int64_t layer = 0; layer < layer_count_; ++layer) cache_rows(layer);
  }

  double decode_bytes() const {
    const int64_t keys = kind_ == LayerKind::kSliding ? std::min<int64_t>(positions_, 1024) : positions_;
    return static_cast<double>(layer_count_ * keys * layer_.kv_heads * layer_.head_dim * 4);
  }

 private:
  std::unique_ptr<Matrix> upload_noise(int64_t width) {
    const beryl::File file = make_noise_file(kTableRows * width);
    const beryl::formats::QuantMatrix matrix = {
        .rows = kTableRows,
        .cols = width,
        .codes = {.range = {&file, 0, static_cast<uint64_t>(kTableRows * width * 2)}}};
    const MatrixSource source = {.name = "noise", .matrix = matrix};
    beryl::NoProgress progress;
    return std::move(backend_.upload({&source, 1}, progress)[0]);
  }

  void make_cache(int64_t skipped_pages) {
    const int64_t pages = positions_ / kPageTokens + 1;
    pages_.assign(static_cast<size_t>(pages), -1);
    for (int64_t page = skipped_pages; page < pages; ++page) {
      pages_[static_cast<size_t>(page)] = static_cast<int32_t>(page - skipped_pages);
    }
    const CacheLayer layer = {.kind = kind_, .kv_heads = layer_.kv_heads, .head_dim = layer_.head_dim};
    cache_ = backend_.make_cache({.layers = std::vector<CacheLayer>(static_cast<size_t>(layer_count_), layer),
                                  .tokens_per_page = kPageTokens,
                                  .sliding_pages = pages - skipped_pages,
                                  .full_pages = pages - skipped_pages});
  }

  Backend& backend_;
  LayerKind kind_;
  int64_t layer_count_;
  int64_t positions_;
  AttentionLayer layer_;
  std::unique_ptr<Vector> norm_, inv_freq_;
  std::unique_ptr<Matrix> q_table_, kv_table_;
  std::unique_ptr<Cache> cache_;
  std::vector<int32_t> pages_, row_positions_, row_sequences_, tokens_;
  PageTables tables_;
  Rows rows_;
  std::unique_ptr<Buffer> q_ = backend_.make_buffer();
  std::unique_ptr<Buffer> k_ = backend_.make_buffer();
  std::unique_ptr<Buffer> out_ = backend_.make_buffer();
};

void run_decode(benchmark::State& state, std::vector<LayerKind> kinds) {
  const int threads = static_cast<int>(state.range(0));
  const int64_t positions = state.range(1);
  const auto backend = make_cpu_backend({.threads = threads});
  std::vector<std::unique_ptr<Layers>> layers;
  double bytes = 0;
  for (const LayerKind kind : kinds) {
    const int64_t count = kind == LayerKind::kSliding ? kSlidingLayers : kFullLayers;
    layers.push_back(std::make_unique<Layers>(*backend, kind, count, positions));
    layers.back()->set_rows(positions - 1, 1);
    bytes += layers.back()->decode_bytes();
  }
  for (auto _ : state) {
    for (const auto& layer : layers) layer->attend_all();
  }
  const double all_bytes = bytes * static_cast<double>(state.iterations());
  state.counters["bytes/s"] = benchmark::Counter(all_bytes, benchmark::Counter::kIsRate);
  state.counters["of bandwidth"] =
      benchmark::Counter(all_bytes / bandwidth[threads], benchmark::Counter::kIsRate);
}

void decode(benchmark::State& state) {
  run_decode(state, {LayerKind::kSliding, LayerKind::kFull});
}
void decode_sliding(benchmark::State& state) {
  run_decode(state, {LayerKind::kSliding});
}
void decode_full(benchmark::State& state) {
  run_decode(state, {LayerKind::kFull});
}

void run_prefill(benchmark::State& state, bool caches) {
  const auto backend = make_cpu_backend({.threads = static_cast<int>(state.range(0))});
  Layers sliding(*backend, LayerKind::kSliding, kSlidingLayers, state.range(1));
  Layers full(*backend, LayerKind::kFull, kFullLayers, state.range(1));
  for (Layers* layers : {&sliding, &full}) layers->set_rows(0, state.range(1));
  for (auto _ : state) {
    for (Layers* layers : {&sliding, &full}) caches ? layers->cache_all() : layers->attend_all();
  }
  state.counters["tokens/s"] = benchmark::Counter(static_cast<double>(state.range(1) * state.iterations()),
                                                  benchmark::Counter::kIsRate);
}

void prefill(benchmark::State& state) {
  run_prefill(state, false);
}
void rotate_and_cache(benchmark::State& state) {
  run_prefill(state, true);
}

constexpr auto kUnit = benchmark::kMillisecond;
BENCHMARK(decode)
    ->Args({1, 128})
    ->Args({2, 128})
    ->Args({1, 16384})
    ->Args({2, 16384})
    ->UseRealTime()
    ->Unit(kUnit);
BENCHMARK(decode_sliding)->Args({1, 16384})->Args({2, 16384})->UseRealTime()->Unit(kUnit);
BENCHMARK(decode_full)->Args({1, 16384})->Args({2, 16384})->UseRealTime()->Unit(kUnit);
BENCHMARK(prefill)->Args({1, 512})->Args({2, 512})->UseRealTime()->Unit(kUnit);
BENCHMARK(rotate_and_cache)->Args({1, 1})->Args({1, 512})->Args({2, 512})->UseRealTime()->Unit(kUnit);

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (const int threads : {1, 2}) {
    bandwidth[threads] = beryl::measure_read_bandwidth(threads, std::chrono::milliseconds(500));
    fmt::print("read bandwidth, {} threads: {:.1f} GB/s\n", threads, bandwidth[threads] / 1e9);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
