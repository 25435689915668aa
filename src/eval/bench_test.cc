#include "eval/bench.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "eval/bench_model.h"
#include "eval/bench_streams.h"

namespace beryl::eval {
namespace {

// The miniature of a mixture of experts: 16 experts of which 4 take part, windows of 64 tokens.
struct Tiny {
  explicit Tiny(const std::string& format)
      : model(make_up_model({.shape = "tiny", .format = format})),
        backend(backend::make_cpu_backend({.threads = 2})) {
    NoProgress progress;
    network = model::load_network(model.config, model.weights, *backend, progress);
  }
  BenchSubject subject() const {
    return {.network = network,
            .weights = model.weights,
            .backend = *backend,
            .compute = backend::Compute::kBf16};
  }

  MadeUpModel model;
  std::unique_ptr<backend::Backend> backend;
  model::Network network;
};

class CountProgress final : public Progress {
 public:
  void update(uint64_t done, uint64_t total) override { counts.emplace_back(done, total); }
  std::vector<std::pair<uint64_t, uint64_t>> counts;
};

TEST(BenchTest, MeasuresEveryFormat) {
  for (const std::string& format : bench_format_names()) {
    const Tiny tiny(format);
    CountProgress progress;
    const BenchOptions options = {.prompts = {100},
                                  .depths = {0, 70},
                                  .batches = {1, 3},
                                  .runs = 1,
                                  .steps = 2,
                                  .chunk = 64,
                                  .routing = BenchRouting::kUniform};
    const MachineLimits limits = {.read_bandwidth = [] { return 1e9; }, .multiply_peak = [] { return 2e9; }};
    const BenchResult result = run_bench(tiny.subject(), options, limits, progress);
    ASSERT_EQ(result.prefill.size(), 1U) << format;
    EXPECT_GT(result.prefill[0].seconds, 0) << format;
    EXPECT_DOUBLE_EQ(result.prefill[0].share(),
                     result.prefill[0].operations / result.prefill[0].seconds / 2e9);
    ASSERT_EQ(result.decode.size(), 4U) << format;
    EXPECT_EQ(result.decode[3].depth, 70);
    EXPECT_EQ(result.decode[3].batch, 3);
    EXPECT_GT(result.decode[3].tokens_per_second(), 0) << format;
    EXPECT_EQ(progress.counts.back(), std::make_pair(uint64_t{5}, uint64_t{5}));
  }
}

// At batch 1 a step reads the experts of one token: 6 layers of 4.
TEST(BenchTest, CountsTheBytesOfAStep) {
  const Tiny tiny("bf16");
  NoProgress progress;
  const BenchOptions options = {.prompts = {},
                                .depths = {0},
                                .batches = {1, 8},
                                .runs = 2,
                                .steps = 2,
                                .routing = BenchRouting::kUniform};
  const MachineLimits limits = {.read_bandwidth = [] { return 1.0; }, .multiply_peak = [] { return 1.0; }};
  const BenchResult result = run_bench(tiny.subject(), options, limits, progress);
  const DecodeBytes bytes = decode_bytes(tiny.model.config, tiny.model.weights);
  const uint64_t cache = cache_bytes_read(tiny.model.config, backend::Compute::kBf16, 1);
  EXPECT_DOUBLE_EQ(result.decode[0].bytes_per_step, static_cast<double>(bytes.of_step(1, 24) + cache));
  // Eight tokens share experts, but hardly ever all of them.
  EXPECT_GT(result.decode[1].bytes_per_step, static_cast<double>(bytes.of_step(8, 48)));
  EXPECT_LE(result.decode[1].bytes_per_step, static_cast<double>(bytes.of_step(8, 96) + 8 * cache));
}

// Pages of sliding layers are used again in a ring: the pieces in which a prompt comes must not matter.
TEST(BenchStreamsTest, GivesTheSameLogitsInAnyPieces) {
  const Tiny tiny("nvfp4");
  const auto logits = [&](int64_t chunk) {
    BenchStreams streams(tiny.network, *tiny.backend, {.streams = 1, .tokens_max = 600, .rows_max = chunk});
    for (int64_t begin = 0; begin < 600; begin += chunk) {
      const int64_t rows = std::min(chunk, 600 - begin);
      streams.feed(rows, begin + rows == 600, nullptr);
    }
    return std::vector<float>(streams.logits().begin(), streams.logits().end());
  };
  const std::vector<float> whole = logits(600);
  ASSERT_EQ(whole.size(), 512U);
  EXPECT_EQ(logits(50), whole);
  EXPECT_EQ(logits(7), whole);
}

TEST(BenchStreamsTest, KeepsOnlyTheWindowOfSlidingLayers) {
  const Tiny tiny("bf16");
  const auto shape =
      streams_cache_shape(tiny.model.config, {.streams = 2, .tokens_max = 16'000, .rows_max = 1});
  EXPECT_EQ(shape.full_pages, 2 * 1000);
  EXPECT_EQ(shape.sliding_pages, 2 * ((64 + 256) / 16 + 1));
}

TEST(BenchRoutingTest, ForcesDifferentExpertsOfEachToken) {
  const MadeUpModel model = make_up_model({.shape = "26b-a4b", .format = "bf16"});
  for (const BenchRouting routing : {BenchRouting::kUniform, BenchRouting::kSkewed}) {
    RoutingObserver observer(model.config, routing);
    observer.set_rows(50);
    const auto experts = observer.forced_experts(3);
    ASSERT_EQ(experts.size(), 400U);
    for (size_t row = 0; row < 50; ++row) {
      const std::set<int32_t> chosen(experts.begin() + static_cast<std::ptrdiff_t>(row * 8),
                                     experts.begin() + static_cast<std::ptrdiff_t>(row * 8 + 8));
      EXPECT_EQ(chosen.size(), 8U);
      EXPECT_GE(*chosen.begin(), 0);
      EXPECT_LT(*chosen.rbegin(), 128);
    }
  }
}

// 8 tokens with 8 of 128 experts each: 128 * (1 - (120 / 128)^8) = 51.6 different ones when all are alike.
TEST(BenchRoutingTest, CountsDifferentExperts) {
  const MadeUpModel model = make_up_model({.shape = "26b-a4b", .format = "bf16"});
  const auto mean = [&](BenchRouting routing) {
    RoutingObserver observer(model.config, routing);
    observer.set_rows(8);
    for (int pass = 0; pass < 200; ++pass) {
      const auto forced = observer.forced_experts(0);
      observer.on_experts(0, {forced.begin(), forced.end()});
    }
    return static_cast<double>(observer.take_count()) / 200;
  };
  EXPECT_NEAR(mean(BenchRouting::kUniform), 51.6, 1.0);
  EXPECT_LT(mean(BenchRouting::kSkewed), 42);
  RoutingObserver router(model.config, BenchRouting::kModel);
  EXPECT_TRUE(router.forced_experts(0).empty());
}

}  // namespace
}  // namespace beryl::eval
