#include "cli/inspection.h"

#include <algorithm>
#include <memory>
#include <set>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/memory_bandwidth.h"

namespace beryl::cli {
namespace {

constexpr std::chrono::milliseconds kMeasuredFor{200};
// Few enough tokens that the weights decide the speed.
constexpr int64_t kShortContext = 512;
// A context that most uses stay below.
constexpr int64_t kUsualContext = 8192;

std::optional<SpeedFigures> measure_speed(const checkpoint::ModelConfig& config,
                                          const backend::Backend& backend, uint64_t weight_bytes,
                                          int threads) {
  SpeedFigures speed = {.threads = threads,
                        .read_bytes_per_second = measure_read_bandwidth(threads, kMeasuredFor),
                        .context_tokens = std::min(kShortContext, config.position_count_max)};
  if (speed.read_bytes_per_second == 0) return std::nullopt;
  speed.cache_bytes_per_token = engine::cache_bytes_read(config, backend, speed.context_tokens);
  const uint64_t bytes = weight_bytes + speed.cache_bytes_per_token;
  speed.tokens_per_second = speed.read_bytes_per_second / static_cast<double>(bytes);
  return speed;
}

}  // namespace

Inspection inspect(const checkpoint::Checkpoint& checkpoint, const ModelOptions& options, bool with_speed) {
  const checkpoint::ModelConfig& config = checkpoint.config();
  const std::unique_ptr<backend::Backend> backend =
      backend::make_cpu_backend({.threads = 1, .compute = options.compute});
  Inspection result;
  result.report = checkpoint::make_weight_report(checkpoint.weights(), config, checkpoint.shards().tensors());
  for (const checkpoint::Shard& shard : checkpoint.shards().shards()) result.file_bytes += shard.file.size();
  result.weights = with_context("model '" + checkpoint.path().string() + "'", [&] {
    return engine::weight_figures(config, checkpoint.weights(), *backend);
  });
  result.cache = engine::cache_figures(config, *backend);
  result.working_bytes = engine::kWorkingBytes;
  result.machine = read_memory();
  const uint64_t taken = result.weights.resident_bytes + result.working_bytes;
  const uint64_t left = result.machine.available_bytes - std::min(result.machine.available_bytes, taken);
  for (const int64_t tokens :
       std::set{std::min(kUsualContext, config.position_count_max), config.position_count_max}) {
    const uint64_t bytes = engine::cache_bytes(config, *backend, tokens);
    result.contexts.push_back({.tokens = tokens, .bytes = bytes, .fits = left > 0 && bytes <= left});
  }
  result.context_that_fits = engine::context_that_fits(config, *backend, left);
  if (with_speed) {
    const int threads = thread_count(options);
    result.speed = measure_speed(config, *backend, result.weights.bytes_per_token, threads);
  }
  return result;
}

}  // namespace beryl::cli
