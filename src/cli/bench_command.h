// beryl bench MODEL | --shape NAME --format NAME: speed of prefill and decode, next to what this machine can
// do at most, measured in the same run; with --streams, of the engine when many are answered at a time.
#pragma once

#include <iosfwd>
#include <string>

#include "cli/loaded_model.h"
#include "eval/bench.h"
#include "eval/bench_engine.h"
#include "eval/bench_model.h"

namespace beryl::cli {

struct BenchCommandOptions {
  ModelOptions model;           // no MODEL when a shape is named
  eval::MadeUpOptions made_up;  // shape empty: MODEL
  std::string routing = "";     // empty: "uniform" for shapes, the router's choice for MODEL
  eval::BenchOptions bench = {.prompts = {512}, .depths = {0, 4096}, .batches = {1, 8}};
  bool has_own_depths = false;  // asked for; else those of the defaults that the model has positions for
  // With numbers of streams the engine is measured, and nothing else; runs, steps and chunk are those above.
  eval::EngineBenchOptions engine = {};
  bool json = false;
};

void add_bench_options(CLI::App& command, BenchCommandOptions& options);

// Returns the exit code. Errors: wrong usage (CLI::Error) when neither MODEL nor a shape is given;
// kInvalidInput for more tokens than the model has positions; kResource with both numbers when it does not
// fit in memory; as loading a model.
int run_bench_command(const BenchCommandOptions& options, std::ostream& out);

}  // namespace beryl::cli
