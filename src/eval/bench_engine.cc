#include "eval/bench_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "base/checked_math.h"
#include "base/error.h"
#include "engine/engine.h"
#include "engine/model_runner.h"
#include "eval/statistics.h"
#include "eval/token_times.h"

namespace beryl::eval {
namespace {

// Of a prompt, the engine takes at least so many tokens into a step.
constexpr int64_t kPromptTokensMin = 16;
// Steps that streams may take while the measuring thread waits for its turn.
constexpr int64_t kSpareSteps = 1024;
// Pages that a text may take beyond its own, and that the engine wants to be free before it admits another.
constexpr int64_t kSparePages = 8;

int64_t streams_max(const EngineBenchOptions& options) {
  return *std::ranges::max_element(options.streams);
}

// The longest that a stream may get: it decodes while the other streams' prompts are computed, too.
int64_t stream_tokens_max(const EngineBenchOptions& options) {
  const int64_t others = streams_max(options) * ceil_div(options.prompt_tokens, kPromptTokensMin);
  const int64_t of_run = 1 + options.steps + ceil_div(options.long_prompt_tokens, kPromptTokensMin);
  return options.prompt_tokens + others + options.runs * of_run + kSpareSteps;
}

int64_t text_tokens_max(const EngineBenchOptions& options) {
  return std::max(stream_tokens_max(options), options.long_prompt_tokens + 1);
}

void check_positions(const checkpoint::ModelConfig& config, const EngineBenchOptions& options) {
  const int64_t tokens = text_tokens_max(options);
  if (tokens <= config.position_count_max) return;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("texts of up to {} tokens, but the model has {} positions", tokens,
                          config.position_count_max),
              "choose a shorter long prompt (--long-prompt), fewer steps (--steps) or fewer runs (--runs)");
}

void check_room(const engine::EngineOptions& planned, const EngineBenchOptions& options) {
  const int64_t texts = streams_max(options) + 1;
  const int64_t pages = texts * (ceil_div(planned.context_max, planned.tokens_per_page) + kSparePages);
  if (planned.sequences_max >= texts && planned.full_pages >= pages) return;
  throw Error(
      ErrorCode::kResource,
      fmt::format("keys and values of {} texts of up to {} tokens are needed at a time, but beside the "
                  "weights there is memory for {} texts and {} tokens in all",
                  texts, planned.context_max, planned.sequences_max,
                  planned.full_pages * planned.tokens_per_page),
      "measure a part of a shape with --layers, choose fewer streams, a shorter --long-prompt or a "
      "format of fewer bits");
}

// The model, with experts that are drawn instead of the router's choice.
class RoutedRunner final : public engine::ModelRunner {
 public:
  RoutedRunner(const EngineBenchSubject& subject, BenchRouting routing)
      : runner_(subject.network, subject.backend, subject.plan.options),
        observer_(subject.network.config, routing),
        is_drawn_(subject.network.config.is_moe() && routing != BenchRouting::kModel) {}

  int64_t vocabulary_size() const override { return runner_.vocabulary_size(); }
  int64_t window() const override { return runner_.window(); }
  bool run(const model::Batch& batch, std::span<float> logits) override {
    if (!is_drawn_) return runner_.run(batch, logits);
    observer_.set_rows(static_cast<int64_t>(batch.tokens.size()));
    model::Batch drawn = batch;
    drawn.observer = &observer_;
    return runner_.run(drawn, logits);
  }
  void copy_page(backend::LayerKind kind, int32_t from, int32_t to) override {
    runner_.copy_page(kind, from, to);
  }

 private:
  engine::NetworkRunner runner_;
  RoutingObserver observer_;
  bool is_drawn_;
};

engine::EngineOptions engine_options(const engine::MemoryPlan& plan, const EngineBenchOptions& options,
                                     int64_t streams) {
  engine::EngineOptions engine = plan.options;
  engine.sequences_max = streams + 1;
  engine.step_seconds_max = options.step_seconds;
  engine.chunk_tokens = options.chunk_tokens;
  engine.has_prefix_cache = false;
  return engine;
}

// One number of streams, on an engine of its own.
class StreamsBench {
 public:
  StreamsBench(engine::ModelRunner& runner, const engine::MemoryPlan& plan, const EngineBenchOptions& options,
               int64_t streams)
      : options_(options),
        times_(static_cast<size_t>(streams), static_cast<size_t>(options.runs)),
        vocabulary_size_(runner.vocabulary_size()),
        engine_(runner, engine_options(plan, options, streams)) {
    result_.streams = streams;
    if (options.long_prompt_tokens > 0) {
      result_.long_prompts = LongPromptsResult{.prompt_tokens = options.long_prompt_tokens};
    }
  }

  ManyStreamsResult run(const std::function<void()>& on_run) {
    for (int64_t i = 0; i < result_.streams; ++i) {
      submit(options_.prompt_tokens, stream_tokens_max(options_) - options_.prompt_tokens,
             times_.stream_listener(static_cast<size_t>(i)));
    }
    std::vector<TimeSpan> alone, beside;
    for (int64_t run = 0; run < options_.runs; ++run) {
      alone.push_back(times_.wait_for_tokens(static_cast<size_t>(options_.steps)));
      if (result_.long_prompts) beside.push_back(admit_prompt(static_cast<size_t>(run)));
      on_run();
    }
    times_.stop();
    report(alone, beside);
    return std::move(result_);
  }

 private:
  void submit(int64_t prompt_tokens, int64_t new_tokens_max,
              std::shared_ptr<engine::RequestListener> listener) {
    std::vector<int32_t> prompt(static_cast<size_t>(prompt_tokens));
    std::uniform_int_distribution<int32_t> token(0, static_cast<int32_t>(vocabulary_size_ - 1));
    std::ranges::generate(prompt, [&] { return token(random_); });
    engine_.submit({.prompt = std::move(prompt),
                    .sampling = {.temperature = 0},
                    .new_tokens_max = new_tokens_max,
                    .uses_prefix_cache = false,
                    .listener = std::move(listener)});
  }

  TimeSpan admit_prompt(size_t run) {
    const engine::TimePoint begin = std::chrono::steady_clock::now();
    submit(options_.long_prompt_tokens, 1, times_.prompt_listener(run));
    return {.begin = begin, .end = times_.wait_for_prompt(run)};
  }

  std::vector<double> gaps(const std::vector<TimeSpan>& spans) const {
    std::vector<double> all;
    for (const TimeSpan& span : spans) {
      const std::vector<double> gaps = times_.gaps(span);
      all.insert(all.end(), gaps.begin(), gaps.end());
    }
    return all;
  }

  void report(const std::vector<TimeSpan>& alone, const std::vector<TimeSpan>& beside) {
    for (const TimeSpan& span : alone) {
      result_.tokens += times_.count_tokens(span);
      result_.seconds += span.seconds();
    }
    result_.gaps = summarize_gaps(gaps(alone));
    if (!result_.long_prompts) return;
    LongPromptsResult& prompts = *result_.long_prompts;
    prompts.prompts = options_.runs;
    prompts.gaps = summarize_gaps(gaps(beside));
    for (const TimeSpan& span : beside) {
      prompts.stream_tokens += times_.count_tokens(span);
      prompts.seconds += span.seconds();
    }
  }

  const EngineBenchOptions& options_;
  std::mt19937 random_{1};
  ManyStreamsResult result_;
  TokenTimes times_;
  const int64_t vocabulary_size_;
  engine::Engine engine_;  // last: its thread uses the times
};

}  // namespace

Gaps summarize_gaps(std::vector<double> seconds) {
  if (seconds.empty()) return {};
  std::ranges::sort(seconds);
  return {.count = static_cast<int64_t>(seconds.size()),
          .p50_seconds = quantile(seconds, 0.5),
          .p99_seconds = quantile(seconds, 0.99),
          .max_seconds = seconds.back()};
}

engine::MemoryPlan plan_engine_bench(const checkpoint::ModelConfig& config, const backend::Backend& backend,
                                     uint64_t weight_bytes, uint64_t available_bytes,
                                     const EngineBenchOptions& options) {
  check_positions(config, options);
  engine::MemoryPlan plan =
      engine::plan_memory(config, backend, weight_bytes, available_bytes,
                          {.context = text_tokens_max(options), .sequences = streams_max(options) + 1});
  check_room(plan.options, options);
  return plan;
}

std::vector<ManyStreamsResult> run_engine_bench(const EngineBenchSubject& subject,
                                                const EngineBenchOptions& options, Progress& progress) {
  RoutedRunner runner(subject, options.routing);
  const uint64_t total = options.streams.size() * static_cast<uint64_t>(options.runs);
  uint64_t done = 0;
  std::vector<ManyStreamsResult> results;
  for (const int64_t streams : options.streams) {
    StreamsBench bench(runner, subject.plan, options, streams);
    results.push_back(bench.run([&] { progress.update(++done, total); }));
  }
  return results;
}

}  // namespace beryl::eval
