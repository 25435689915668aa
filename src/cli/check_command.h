// beryl check MODEL GOLDEN: runs the prompts of a golden file and compares logits and greedy tokens.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <optional>

#include "cli/loaded_model.h"

namespace beryl::cli {

struct CheckOptions {
  ModelOptions model;
  std::filesystem::path golden;
  bool hidden = false;           // compare the streams between layers too
  std::optional<double> kl_max;  // in place of the default bound
  bool json = false;
  bool logprobs = false;  // of each token, as JSON
};

void add_check_options(CLI::App& command, CheckOptions& options);

// Returns the exit code: 1 when a bound is exceeded.
int run_check(const CheckOptions& options, std::ostream& out);

}  // namespace beryl::cli
