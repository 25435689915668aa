#include "eval/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "eval/bench_streams.h"

namespace beryl::eval {
namespace {

using Clock = std::chrono::steady_clock;

double median(std::vector<double> values) {
  BERYL_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

template <typename Work>
double seconds_of(Work work) {
  const Clock::time_point start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

StreamsShape prefill_shape(int64_t tokens, const BenchOptions& options) {
  return {.streams = 1, .tokens_max = tokens, .rows_max = std::min(tokens, options.chunk)};
}

StreamsShape decode_shape(int64_t depth, int64_t batch, const BenchOptions& options) {
  return {.streams = batch, .tokens_max = depth + options.steps, .rows_max = 1};
}

class Bench {
 public:
  Bench(const BenchSubject& subject, const BenchOptions& options, const MachineLimits& limits,
        Progress& progress)
      : subject_(subject),
        options_(options),
        limits_(limits),
        progress_(progress),
        bytes_(decode_bytes(subject.network.config, subject.weights)),
        routing_(subject.network.config, options.routing) {
    const size_t kinds = options.prompts.size() + options.depths.size() * options.batches.size();
    runs_total_ = kinds * static_cast<size_t>(options.runs);
  }

  BenchResult run() {
    BenchResult result;
    for (const int64_t tokens : options_.prompts) result.prefill.push_back(prefill(tokens));
    for (const int64_t depth : options_.depths) {
      for (const int64_t batch : options_.batches) result.decode.push_back(decode(depth, batch));
    }
    return result;
  }

 private:
  PrefillResult prefill(int64_t tokens) {
    BenchStreams streams(subject_.network, subject_.backend, prefill_shape(tokens, options_));
    feed_prompt(streams, std::min<int64_t>(tokens, 32));
    std::vector<double> seconds;
    std::vector<double> peaks;
    for (int64_t run = 0; run < options_.runs; ++run) {
      peaks.push_back(limits_.multiply_peak());
      seconds.push_back(seconds_of([&] { feed_prompt(streams, tokens); }));
      finish_run(streams);
    }
    return {.tokens = tokens,
            .seconds = median(std::move(seconds)),
            .operations = prefill_operations(subject_.network.config, subject_.weights, tokens),
            .peak = median(std::move(peaks))};
  }

  void feed_prompt(BenchStreams& streams, int64_t tokens) {
    streams.set_position(0);
    for (int64_t begin = 0; begin < tokens; begin += options_.chunk) {
      const int64_t rows = std::min(options_.chunk, tokens - begin);
      routing_.set_rows(rows);
      streams.feed(rows, begin + rows == tokens, observer());
    }
  }

  DecodeResult decode(int64_t depth, int64_t batch) {
    BenchStreams streams(subject_.network, subject_.backend, decode_shape(depth, batch, options_));
    streams.fill_to(depth);
    routing_.set_rows(batch);
    streams.feed(1, true, observer());  // what is allocated on first use
    routing_.take_count();
    std::vector<double> seconds;
    std::vector<double> bandwidths;
    const auto steps = static_cast<double>(options_.steps);
    for (int64_t run = 0; run < options_.runs; ++run) {
      bandwidths.push_back(limits_.read_bandwidth());
      streams.set_position(depth);
      const double passed = seconds_of([&] {
        for (int64_t step = 0; step < options_.steps; ++step) streams.feed(1, true, observer());
      });
      seconds.push_back(passed / steps);
      finish_run(streams);
    }
    const double all_steps = steps * static_cast<double>(options_.runs);
    const double experts = static_cast<double>(routing_.take_count()) / all_steps;
    const uint64_t cache =
        cache_bytes_read(subject_.network.config, subject_.compute, depth + options_.steps / 2);
    return {.depth = depth,
            .batch = batch,
            .seconds_per_step = median(std::move(seconds)),
            .bytes_per_step = static_cast<double>(bytes_.of_step(batch, 0)) +
                              experts * static_cast<double>(bytes_.expert) +
                              static_cast<double>(batch) * static_cast<double>(cache),
            .read_bandwidth = median(std::move(bandwidths))};
  }

  // Looking at experts needs a pass in which later layers run on all rows, as those of mixtures of experts
  // do.
  model::Observer* observer() { return subject_.network.config.is_moe() ? &routing_ : nullptr; }

  void finish_run(const BenchStreams& streams) {
    progress_.update(++runs_done_, runs_total_);
    const std::span<const float> logits = streams.logits();
    if (std::all_of(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); })) return;
    throw Error(ErrorCode::kNumeric, "the logits of a measured pass are not finite",
                "the checkpoint may be damaged; compare it with `beryl check`");
  }

  const BenchSubject& subject_;
  const BenchOptions& options_;
  const MachineLimits& limits_;
  Progress& progress_;
  DecodeBytes bytes_;
  RoutingObserver routing_;
  uint64_t runs_done_ = 0;
  uint64_t runs_total_ = 0;
};

}  // namespace

uint64_t bench_cache_bytes(const checkpoint::ModelConfig& config, const backend::Backend& backend,
                           const BenchOptions& options) {
  uint64_t bytes = 0;
  const auto count = [&](const StreamsShape& shape) {
    bytes = std::max(bytes, backend.cache_bytes(streams_cache_shape(config, shape)));
  };
  for (const int64_t tokens : options.prompts) count(prefill_shape(tokens, options));
  for (const int64_t depth : options.depths) {
    for (const int64_t batch : options.batches) count(decode_shape(depth, batch, options));
  }
  return bytes;
}

BenchResult run_bench(const BenchSubject& subject, const BenchOptions& options, const MachineLimits& limits,
                      Progress& progress) {
  return Bench(subject, options, limits, progress).run();
}

}  // namespace beryl::eval
