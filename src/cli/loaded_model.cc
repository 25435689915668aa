#include "cli/loaded_model.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "base/machine.h"
#include "checkpoint/model_path.h"
#include "cli/progress_bar.h"
#include "cli/text_format.h"
#include "engine/memory_figures.h"

namespace beryl::cli {
namespace {

// Below this a memory plan is of no interest to anyone who did not ask.
constexpr uint64_t kPlanShownFrom = uint64_t{256} << 20;

void check_memory(const LoadedModel& loaded, const ModelOptions& options, int64_t cache_tokens) {
  const checkpoint::ModelConfig& config = loaded.checkpoint.config();
  const uint64_t weights = model::resident_bytes(config, loaded.checkpoint.weights(), *loaded.backend);
  const uint64_t cache = engine::cache_bytes(config, *loaded.backend, cache_tokens);
  const uint64_t total = weights + cache + engine::kWorkingBytes;
  const uint64_t available = read_memory().available_bytes;
  const std::string plan = fmt::format("weights {}, cache for {} tokens {}, working memory {}; available {}",
                                       format_bytes(weights), cache_tokens, format_bytes(cache),
                                       format_bytes(engine::kWorkingBytes), format_bytes(available));
  if (total > available) {
    throw Error(ErrorCode::kResource,
                fmt::format("the model needs {} of memory, {} are available ({})", format_bytes(total),
                            format_bytes(available), plan),
                "close other programs, lower --ctx, or choose a checkpoint that is quantised to fewer bits");
  }
  if (options.verbose || weights >= kPlanShownFrom) fmt::print(stderr, "memory: {}\n", plan);
}

}  // namespace

void add_model_options(CLI::App& command, ModelOptions& options) {
  command
      .add_option("MODEL", options.model,
                  "Directory of a checkpoint, GGUF file, or ORG/NAME[@REVISION] in the local "
                  "Hugging Face cache")
      ->required();
  command
      .add_option("--threads", options.threads,
                  "Threads to compute with (default: all that the process may use)")
      ->check(CLI::Range(1, 1024))
      ->envname("BERYL_THREADS");
  command
      .add_option_function<std::string>(
          "--compute",
          [&options](const std::string& name) {
            options.compute = name == "f32" ? backend::Compute::kF32 : backend::Compute::kBf16;
          },
          "Arithmetic: bf16 (default) or f32, the exact reference")
      ->transform(CLI::IsMember({"bf16", "f32"}, CLI::ignore_case))
      ->envname("BERYL_COMPUTE");
  command.add_flag("-v,--verbose", options.verbose, "Say more on standard error");
}

int thread_count(const ModelOptions& options) {
  return options.threads > 0 ? options.threads : usable_processor_count();
}

checkpoint::Checkpoint open_checkpoint(const ModelOptions& options) {
  const checkpoint::ModelPath path =
      checkpoint::resolve_model_path(options.model, checkpoint::read_cache_environment());
  checkpoint::Checkpoint opened = checkpoint::Checkpoint::open(path.path);
  if (options.verbose) {
    for (const std::string& name : opened.shards().ignored_files()) {
      fmt::print(stderr, "note: '{}' is not part of the checkpoint and was not read\n", name);
    }
  }
  return opened;
}

LoadedModel load_model(const ModelOptions& options, checkpoint::Checkpoint checkpoint, int64_t cache_tokens) {
  LoadedModel loaded = {
      .checkpoint = std::move(checkpoint),
      .backend = backend::make_cpu_backend({.threads = thread_count(options), .compute = options.compute}),
      .network = {}};
  check_memory(loaded, options, cache_tokens);
  ProgressBar progress("loading");
  loaded.network = with_context("model '" + loaded.checkpoint.path().string() + "'", [&] {
    return model::load_network(loaded.checkpoint.config(), loaded.checkpoint.weights(), *loaded.backend,
                               progress);
  });
  return loaded;
}

}  // namespace beryl::cli
