// beryl eval: how many of a task's questions a model answers rightly, and whether several models differ.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "cli/loaded_model.h"

namespace beryl::cli {

struct EvalCommandOptions {
  ModelOptions model;  // the name apart, of all models
  std::string task;
  std::vector<std::string> models;
  std::filesystem::path data;
  std::filesystem::path shots;          // empty: train.jsonl beside the data
  std::filesystem::path template_file;  // in place of the checkpoint's template
  std::filesystem::path output;         // empty: answers are not kept
  std::optional<uint64_t> limit;
  std::optional<int> shot_count;
  std::optional<bool> chat;
  bool thinks = false;
  uint64_t seed = 1234;
  float temperature = 0;
  int64_t new_tokens_max = 1024;
  int64_t concurrency = 8;  // answers generated at a time
  bool only_prompts = false;
  bool json = false;
};

void add_eval_options(CLI::App& command, EvalCommandOptions& options);

// Returns the exit code: 130 when interrupted, after reporting on the answers that are there.
int run_eval_command(const EvalCommandOptions& options, std::ostream& out);

}  // namespace beryl::cli
