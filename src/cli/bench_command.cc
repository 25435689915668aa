#include "cli/bench_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <utility>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/peak.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/memory_bandwidth.h"
#include "cli/bench_report.h"
#include "cli/progress_bar.h"
#include "cli/text_format.h"
#include "model/network.h"

namespace beryl::cli {
namespace {

// Activations of a chunk, and the buffer that the bandwidth is measured with.
constexpr uint64_t kWorkingBytes = uint64_t{1} << 30;
constexpr std::chrono::milliseconds kLimitTime{200};

// What is measured, from a checkpoint or made up.
struct Subject {
  std::string name;
  const checkpoint::ModelConfig* config;
  const checkpoint::WeightMap* weights;
};

// Runs done of all, on a terminal.
class RunsLine final : public Progress {
 public:
  RunsLine() : is_terminal_(::isatty(STDERR_FILENO) == 1) { show(0, 0); }
  ~RunsLine() override {
    if (is_terminal_) fmt::print(stderr, "\r\033[K");
  }
  void update(uint64_t done, uint64_t total) override { show(done, total); }

 private:
  static constexpr uint64_t kWidth = 30;

  void show(uint64_t done, uint64_t total) const {
    if (!is_terminal_) return;
    const uint64_t filled = total == 0 ? 0 : done * kWidth / total;
    fmt::print(stderr, "\r\033[Kmeasuring [{}{}]", std::string(filled, '#'),
               std::string(kWidth - filled, '.'));
    if (total > 0) fmt::print(stderr, " run {} of {}", done, total);
    std::fflush(stderr);
  }

  bool is_terminal_;
};

void check_memory(const BenchReport& report) {
  const uint64_t total = report.resident_bytes + report.cache_bytes + kWorkingBytes;
  const uint64_t available = read_memory().available_bytes;
  const std::string plan = fmt::format("weights {}, cache {}, working memory {}; available {}",
                                       format_bytes(report.resident_bytes), format_bytes(report.cache_bytes),
                                       format_bytes(kWorkingBytes), format_bytes(available));
  if (total > available) {
    throw Error(ErrorCode::kResource,
                fmt::format("measuring needs {} of memory, {} are available ({})", format_bytes(total),
                            format_bytes(available), plan),
                "measure a part of a shape with --layers, choose shorter depths or smaller batches, or a "
                "format of fewer bits");
  }
  fmt::print(stderr, "memory: {}\n", plan);
}

eval::BenchRouting routing_of(const BenchCommandOptions& options) {
  if (options.routing == "skewed") return eval::BenchRouting::kSkewed;
  if (options.routing == "uniform") return eval::BenchRouting::kUniform;
  return options.made_up.shape.empty() ? eval::BenchRouting::kModel : eval::BenchRouting::kUniform;
}

std::string routing_name(eval::BenchRouting routing) {
  switch (routing) {
    case eval::BenchRouting::kModel:
      return "the model's";
    case eval::BenchRouting::kUniform:
      return "uniform";
    case eval::BenchRouting::kSkewed:
      return "skewed";
  }
  return {};
}

// A subject in memory.
struct Loaded {
  const Subject& subject;
  const BenchCommandOptions& options;
  backend::Backend& backend;
  model::Network network;
};

Loaded load(const BenchCommandOptions& options, const Subject& subject, backend::Backend& backend) {
  ProgressBar progress(options.made_up.shape.empty() ? "loading" : "making up weights");
  return {.subject = subject,
          .options = options,
          .backend = backend,
          .network = model::load_network(*subject.config, *subject.weights, backend, progress)};
}

eval::BenchResult measure_passes(const Loaded& loaded, const eval::BenchOptions& options, int threads) {
  const backend::Isa isa = backend::chosen_isa();
  const eval::MachineLimits limits = {
      .read_bandwidth = [&] { return measure_read_bandwidth(threads, kLimitTime); },
      .multiply_peak = [&] { return backend::measure_multiply_peak(isa, threads, kLimitTime); }};
  RunsLine progress;
  return eval::run_bench({.network = loaded.network,
                          .weights = *loaded.subject.weights,
                          .backend = loaded.backend,
                          .compute = loaded.options.model.compute},
                         options, limits, progress);
}

void run_passes(const BenchCommandOptions& options, const Subject& subject, backend::Backend& backend,
                BenchReport& report) {
  eval::BenchOptions bench = options.bench;
  bench.routing = routing_of(options);
  report.cache_bytes = eval::bench_cache_bytes(*subject.config, backend, bench);
  check_memory(report);
  report.result = measure_passes(load(options, subject, backend), bench, report.threads);
}

void run_streams(const BenchCommandOptions& options, const Subject& subject, backend::Backend& backend,
                 BenchReport& report) {
  eval::EngineBenchOptions bench = options.engine;
  bench.runs = options.bench.runs;
  bench.steps = options.bench.steps;
  bench.chunk_tokens = options.bench.chunk;
  bench.routing = routing_of(options);
  const engine::MemoryPlan plan = eval::plan_engine_bench(*subject.config, backend, report.resident_bytes,
                                                          read_memory().available_bytes, bench);
  report.cache_bytes = plan.kv_bytes;
  report.step_seconds = bench.step_seconds;
  fmt::print(stderr, "memory: weights {}, keys and values {}, working memory {}; available {}\n",
             format_bytes(plan.weight_bytes), format_bytes(plan.kv_bytes), format_bytes(plan.working_bytes),
             format_bytes(plan.available_bytes));
  const Loaded loaded = load(options, subject, backend);
  RunsLine progress;
  report.streams =
      eval::run_engine_bench({.network = loaded.network, .backend = backend, .plan = plan}, bench, progress);
}

int measure(const BenchCommandOptions& options, const Subject& subject, std::ostream& out) {
  const int threads = thread_count(options.model);
  const auto backend = make_backend(options.model);
  BenchReport report = {.subject = subject.name,
                        .routing = subject.config->is_moe() ? routing_name(routing_of(options)) : "",
                        .threads = threads,
                        .compute = options.model.compute,
                        .published_bytes = subject.weights->published_bytes(),
                        .resident_bytes = model::resident_bytes(*subject.config, *subject.weights, *backend)};
  if (options.engine.streams.empty()) {
    run_passes(options, subject, *backend, report);
  } else {
    run_streams(options, subject, *backend, report);
  }
  if (options.json) {
    print_bench_json(out, report);
  } else {
    print_bench_table(out, report);
  }
  return 0;
}

// What is measured of a model: default depths that it has no positions for are left out.
BenchCommandOptions fitted_to(BenchCommandOptions options, const checkpoint::ModelConfig& config) {
  if (options.has_own_depths) return options;
  std::erase_if(options.bench.depths, [&](int64_t depth) {
    return depth > 0 && depth + options.bench.steps > config.position_count_max;
  });
  return options;
}

void check_positions(const checkpoint::ModelConfig& config, const BenchCommandOptions& options) {
  if (!options.engine.streams.empty()) return;  // has a plan of its own
  const auto check = [&](int64_t tokens) {
    if (tokens <= config.position_count_max) return;
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{} tokens, but the model has {} positions", tokens, config.position_count_max),
                "choose shorter prompts (--prompt), shorter depths (--depth) or fewer steps (--steps)");
  };
  for (const int64_t tokens : options.bench.prompts) check(tokens);
  for (const int64_t depth : options.bench.depths) check(depth + options.bench.steps);
}

// As made_up names it: "26b-a4b nvfp4, head bf16, 4 layers".
std::string made_up_name(const eval::MadeUpOptions& options) {
  const std::string head(options.head.empty() ? eval::default_head_format(options.format) : options.head);
  return fmt::format("{} {}, head {}{}", options.shape, options.format, head,
                     options.layers > 0 ? fmt::format(", {} layers", options.layers) : "");
}

// Lists of numbers, "512,2048".
CLI::Option* add_list(CLI::App& command, const std::string& name, std::vector<int64_t>& to, int64_t min,
                      const std::string& help) {
  return command.add_option(name, to, help)
      ->delimiter(',')
      ->check(CLI::Range(min, int64_t{1} << 20))
      ->capture_default_str();
}

void add_measured(CLI::App& command, BenchCommandOptions& all) {
  eval::BenchOptions& options = all.bench;
  add_list(command, "--prompt", options.prompts, 1, "Prompt lengths whose prefill is measured");
  add_list(command, "--depth", options.depths, 0, "Tokens in the cache before decoding is measured")
      ->each([&all](const std::string&) { all.has_own_depths = true; });
  add_list(command, "--batch", options.batches, 1, "Numbers of streams that decode together");
  command.add_option("--runs", options.runs, "Runs of each measurement, of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--steps", options.steps, "Decode steps of one run")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command.add_option("--chunk", options.chunk, "Tokens of a prompt fed at a time")
      ->check(CLI::Range(1, 65'536))
      ->capture_default_str();
  command.add_flag_callback("--no-prefill", [&options] { options.prompts.clear(); }, "Measure decoding only");
  command.add_flag_callback("--no-decode", [&options] { options.depths.clear(); }, "Measure prefill only");
}

void add_streams(CLI::App& command, eval::EngineBenchOptions& options) {
  CLI::Option* streams =
      command
          .add_option("--streams", options.streams,
                      "Measure the engine instead, with so many requests at a time: throughput, gaps between "
                      "tokens, and both beside long prompts")
          ->delimiter(',')
          ->check(CLI::Range(1, 1024));
  for (const char* other : {"--prompt", "--depth", "--batch"}) {
    streams->excludes(command.get_option(other));
  }
  command
      .add_option("--long-prompt", options.long_prompt_tokens,
                  "Tokens of a prompt that is admitted while streams decode; 0: none")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str()
      ->needs(streams);
  command
      .add_option_function<int64_t>(
          "--step-ms", [&options](int64_t ms) { options.step_seconds = static_cast<double>(ms) / 1e3; },
          "Time of a step while streams decode, as serve's (default: 1000)")
      ->check(CLI::Range(1, 60'000))
      ->needs(streams);
}

}  // namespace

void add_bench_options(CLI::App& command, BenchCommandOptions& options) {
  add_model_options(command, options.model);
  CLI::Option* model = command.get_option("MODEL")->required(false);
  eval::MadeUpOptions& made_up = options.made_up;
  CLI::Option* shape =
      command.add_option("--shape", made_up.shape, "Measure a published size with random weights instead")
          ->transform(CLI::IsMember(eval::bench_shape_names(), CLI::ignore_case))
          ->excludes(model);
  CLI::Option* format = command.add_option("--format", made_up.format, "Format of the shape's linear layers")
                            ->transform(CLI::IsMember(eval::bench_format_names(), CLI::ignore_case))
                            ->needs(shape);
  shape->needs(format);
  command
      .add_option("--head", made_up.head, "Format of the shape's embedding and head (default: as published)")
      ->transform(CLI::IsMember(eval::bench_format_names(), CLI::ignore_case))
      ->needs(shape);
  command.add_option("--layers", made_up.layers, "Only so many of the shape's layers")
      ->check(CLI::Range(1, 1024))
      ->needs(shape);
  command
      .add_option("--routing", options.routing, "Experts of tokens: uniform (default of shapes) or skewed")
      ->transform(CLI::IsMember({"uniform", "skewed"}, CLI::ignore_case));
  add_measured(command, options);
  add_streams(command, options.engine);
  command.add_flag("--json", options.json, "Print one JSON object");
}

int run_bench_command(const BenchCommandOptions& options, std::ostream& out) {
  if (options.made_up.shape.empty() && options.model.model.empty()) {
    throw CLI::ValidationError("MODEL",
                               "there is nothing to measure: name a model, or a shape and a format (--shape "
                               "26b-a4b --format nvfp4)");
  }
  if (!options.made_up.shape.empty()) {
    const eval::MadeUpModel made_up = eval::make_up_model(options.made_up);
    const BenchCommandOptions fitted = fitted_to(options, made_up.config);
    check_positions(made_up.config, fitted);
    return measure(
        fitted,
        {.name = made_up_name(options.made_up), .config = &made_up.config, .weights = &made_up.weights}, out);
  }
  const checkpoint::Checkpoint checkpoint = open_checkpoint(options.model);
  const BenchCommandOptions fitted = fitted_to(options, checkpoint.config());
  check_positions(checkpoint.config(), fitted);
  return measure(
      fitted,
      {.name = checkpoint.path().string(), .config = &checkpoint.config(), .weights = &checkpoint.weights()},
      out);
}

}  // namespace beryl::cli
