// beryl compare: how far a checkpoint's predictions are from another's, token by token.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>

#include "cli/loaded_model.h"

namespace beryl::cli {

struct CompareCommandOptions {
  ModelOptions model;  // the name apart, of both models
  std::string first, second;
  std::filesystem::path data;    // texts, or
  std::filesystem::path golden;  // the prompts of a golden file
  std::filesystem::path template_file;
  std::filesystem::path plot;  // empty: no chart
  int64_t positions_max = 4096;
  size_t worst = 5;  // positions to show
  bool layers = false;
  bool json = false;
};

void add_compare_options(CLI::App& command, CompareCommandOptions& options);

int run_compare_command(const CompareCommandOptions& options, std::ostream& out);

}  // namespace beryl::cli
