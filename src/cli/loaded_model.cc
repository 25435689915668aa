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

namespace beryl::cli {
namespace {

// Below this a memory plan is of no interest to anyone who did not ask.
constexpr uint64_t kPlanShownFrom = uint64_t{256} << 20;

void show(const engine::MemoryPlan& plan, bool is_verbose) {
  if (!is_verbose && plan.weight_bytes < kPlanShownFrom) return;
  const engine::EngineOptions& options = plan.options;
  fmt::print(stderr,
             "memory: weights {}, keys and values {} (texts of up to {} tokens, {}; {} at a time; {} for the "
             "beginnings of later ones), working memory {}; available {}\n",
             format_bytes(plan.weight_bytes), format_bytes(plan.kv_bytes), options.context_max,
             plan.context_reason, options.sequences_max, format_bytes(plan.prefix_bytes),
             format_bytes(plan.working_bytes), format_bytes(plan.available_bytes));
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
      .add_flag("--pin-threads", options.pins_threads,
                "Bind each thread to a processor of its own; for a machine that does nothing else")
      ->envname("BERYL_PIN_THREADS");
  command
      .add_flag("--mmap", options.leaves_weights_in_files,
                "Leave the weights in their files and take them from there at each step; for a model larger "
                "than the memory, and slower")
      ->envname("BERYL_MMAP");
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

std::unique_ptr<backend::Backend> make_backend(const ModelOptions& options) {
  return backend::make_cpu_backend({.threads = thread_count(options),
                                    .compute = options.compute,
                                    .pins_threads = options.pins_threads,
                                    .leaves_weights_in_files = options.leaves_weights_in_files});
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

RunningModel::RunningModel(LoadedModel loaded)
    : model(std::move(loaded)),
      runner(model.network, *model.backend, model.plan.options),
      engine(runner, model.plan.options) {}

LoadedModel load_model(const ModelOptions& options, checkpoint::Checkpoint checkpoint,
                       const engine::MemoryWishes& wishes, Progress* progress) {
  LoadedModel loaded = {
      .checkpoint = std::move(checkpoint), .backend = make_backend(options), .plan = {}, .network = {}};
  const checkpoint::ModelConfig& config = loaded.checkpoint.config();
  loaded.plan = engine::plan_memory(
      config, *loaded.backend, model::resident_bytes(config, loaded.checkpoint.weights(), *loaded.backend),
      read_memory().available_bytes, wishes);
  show(loaded.plan, options.verbose);
  ProgressBar bar("loading");
  loaded.network = with_context("model '" + loaded.checkpoint.path().string() + "'", [&] {
    return model::load_network(config, loaded.checkpoint.weights(), *loaded.backend,
                               progress != nullptr ? *progress : bar);
  });
  return loaded;
}

}  // namespace beryl::cli
