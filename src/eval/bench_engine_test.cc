#include "eval/bench_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "eval/bench_model.h"

namespace beryl::eval {
namespace {

constexpr uint64_t kMemory = uint64_t{2} << 30;

// The miniature of a mixture of experts.
struct Tiny {
  Tiny()
      : model(make_up_model({.shape = "tiny", .format = "bf16"})),
        backend(backend::make_cpu_backend({.threads = 2})) {
    NoProgress progress;
    network = model::load_network(model.config, model.weights, *backend, progress);
  }
  engine::MemoryPlan plan(const EngineBenchOptions& options, uint64_t memory = kMemory) const {
    return plan_engine_bench(model.config, *backend, 0, memory, options);
  }
  std::vector<ManyStreamsResult> measure(const EngineBenchOptions& options, Progress& progress) const {
    const engine::MemoryPlan planned = plan(options);
    return run_engine_bench({.network = network, .backend = *backend, .plan = planned}, options, progress);
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

void expect_in_order(const Gaps& gaps) {
  EXPECT_GT(gaps.p50_seconds, 0);
  EXPECT_LE(gaps.p50_seconds, gaps.p99_seconds);
  EXPECT_LE(gaps.p99_seconds, gaps.max_seconds);
}

TEST(BenchEngineTest, MeasuresStreamsAlone) {
  const Tiny tiny;
  CountProgress progress;
  const EngineBenchOptions options = {
      .streams = {1, 3}, .runs = 2, .steps = 5, .prompt_tokens = 20, .long_prompt_tokens = 0};
  const std::vector<ManyStreamsResult> results = tiny.measure(options, progress);
  ASSERT_EQ(results.size(), 2U);
  for (const ManyStreamsResult& result : results) {
    // Streams step together, so that a run is exactly so long.
    EXPECT_EQ(result.tokens, result.streams * 2 * 5);
    EXPECT_EQ(result.gaps.count, result.tokens);
    EXPECT_DOUBLE_EQ(result.tokens_per_second(), static_cast<double>(result.tokens) / result.seconds);
    expect_in_order(result.gaps);
    EXPECT_FALSE(result.long_prompts.has_value());
  }
  EXPECT_EQ(results[0].streams, 1);
  // The gaps of one stream are the time that it was measured for.
  EXPECT_LE(results[0].gaps.max_seconds, results[0].seconds);
  EXPECT_EQ(results[1].streams, 3);
  EXPECT_THAT(progress.counts, testing::ElementsAre(testing::Pair(1, 4), testing::Pair(2, 4),
                                                    testing::Pair(3, 4), testing::Pair(4, 4)));
}

TEST(BenchEngineTest, AdmitsLongPromptsMeanwhile) {
  const Tiny tiny;
  NoProgress progress;
  for (const BenchRouting routing : {BenchRouting::kUniform, BenchRouting::kModel}) {
    const EngineBenchOptions options = {.streams = {2},
                                        .runs = 2,
                                        .steps = 3,
                                        .prompt_tokens = 20,
                                        .long_prompt_tokens = 300,
                                        .step_seconds = 0.002,
                                        .chunk_tokens = 100,
                                        .routing = routing};
    const std::vector<ManyStreamsResult> results = tiny.measure(options, progress);
    ASSERT_EQ(results.size(), 1U);
    ASSERT_TRUE(results[0].long_prompts.has_value());
    const LongPromptsResult& prompts = *results[0].long_prompts;
    EXPECT_EQ(prompts.prompts, 2);
    EXPECT_EQ(prompts.prompt_tokens, 300);
    EXPECT_GT(prompts.seconds, 0);
    EXPECT_DOUBLE_EQ(prompts.prompt_tokens_per_second(), 2 * 300 / prompts.seconds);
    // In no step more than 100 tokens: a prompt takes three at least, in which both streams go on.
    EXPECT_GE(prompts.stream_tokens, 2 * 3 * 2);
    EXPECT_EQ(prompts.gaps.count, prompts.stream_tokens);
    expect_in_order(prompts.gaps);
  }
}

TEST(BenchEngineTest, PlansForAllStreamsAndAPrompt) {
  const Tiny tiny;
  const EngineBenchOptions options = {.streams = {2, 5, 1}, .long_prompt_tokens = 5000};
  const engine::MemoryPlan plan = tiny.plan(options);
  EXPECT_EQ(plan.options.sequences_max, 6);
  EXPECT_EQ(plan.options.context_max, 5001);
  EXPECT_GE(plan.options.full_pages * plan.options.tokens_per_page, 6 * 5001);
}

TEST(BenchEngineTest, RefusesWhatDoesNotFit) {
  const Tiny tiny;
  const auto code_of = [&](const EngineBenchOptions& options, uint64_t memory) {
    try {
      tiny.plan(options, memory);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kBusy;
  };
  EXPECT_EQ(code_of({.streams = {1}, .long_prompt_tokens = 1'000'000}, kMemory), ErrorCode::kInvalidInput);
  EXPECT_EQ(code_of({.streams = {1}}, 1'000'000), ErrorCode::kResource);
  EXPECT_EQ(code_of({.streams = {10'000}}, kMemory), ErrorCode::kResource);
}

TEST(BenchEngineTest, SummarizesGaps) {
  EXPECT_EQ(summarize_gaps({}).count, 0);
  std::vector<double> seconds;
  for (int i = 200; i >= 0; --i) seconds.push_back(i);
  const Gaps gaps = summarize_gaps(seconds);
  EXPECT_EQ(gaps.count, 201);
  EXPECT_DOUBLE_EQ(gaps.p50_seconds, 100);
  EXPECT_DOUBLE_EQ(gaps.p99_seconds, 198);
  EXPECT_DOUBLE_EQ(gaps.max_seconds, 200);
}

}  // namespace
}  // namespace beryl::eval
