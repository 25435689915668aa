// cli: the command line. Parses arguments, runs the engine, talks to people and programs.
//
// In:  arguments, files, a terminal or pipes.
// Out: text or JSON on standard output; progress, warnings and errors on standard error; exit codes
//      0 ok, 1 failure, 2 usage, 130 interrupted.
// Must never know: how anything is computed.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"
#include "checkpoint/checkpoint.h"
#include "engine/engine.h"
#include "engine/memory_plan.h"
#include "engine/model_runner.h"
#include "model/network.h"

namespace CLI {
class App;
}

namespace beryl::cli {

// What every command that runs a model takes.
struct ModelOptions {
  std::string model;  // a directory, a GGUF file or ORG/NAME[@REVISION]
  int threads = 0;    // 0: as many as the process may use
  backend::Compute compute = backend::Compute::kBf16;
  bool pins_threads = false;
  bool leaves_weights_in_files = false;
  bool verbose = false;
};

// Adds MODEL, --threads, --pin-threads, --mmap, --compute and --verbose.
void add_model_options(CLI::App& command, ModelOptions& options);

// The backend that the options ask for. Errors: as backend::make_cpu_backend().
std::unique_ptr<backend::Backend> make_backend(const ModelOptions& options);

// The number of threads that the options ask for.
int thread_count(const ModelOptions& options);

// A model ready to run. Members in the order in which they depend on each other.
struct LoadedModel {
  checkpoint::Checkpoint checkpoint;
  std::unique_ptr<backend::Backend> backend;
  engine::MemoryPlan plan;
  model::Network network;
};

// A loaded model that takes requests.
struct RunningModel {
  explicit RunningModel(LoadedModel loaded);
  RunningModel(const RunningModel&) = delete;

  LoadedModel model;
  engine::NetworkRunner runner;
  engine::Engine engine;
};

// Resolves and opens the model.
checkpoint::Checkpoint open_checkpoint(const ModelOptions& options);

// Loads the weights, with a progress bar on a terminal, or by `progress` when it is given. Before that memory
// is planned for the weights and for keys and values as `wishes` says. Errors: kResource with both numbers
// when it does not fit; as load_network().
LoadedModel load_model(const ModelOptions& options, checkpoint::Checkpoint checkpoint,
                       const engine::MemoryWishes& wishes, Progress* progress = nullptr);

}  // namespace beryl::cli
