// beryl run: continues a text with a model.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "cli/loaded_model.h"

namespace beryl::cli {

struct RunOptions {
  ModelOptions model;
  std::string raw;  // text to continue as it stands, special tokens recognised
  int64_t new_tokens_max = 512;
  std::optional<int64_t> context;     // room for prompt and answer, in tokens; absent: as much as they need
  std::optional<double> temperature;  // absent: greedy
  std::optional<uint64_t> seed;
  bool json = false;
};

void add_run_options(CLI::App& command, RunOptions& options);

// Streams the answer to `out`. Returns the exit code: 130 when interrupted.
int run_run(const RunOptions& options, std::ostream& out);

}  // namespace beryl::cli
