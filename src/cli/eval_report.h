// What `beryl eval` prints.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "eval/eval_run.h"

namespace beryl::cli {

struct EvalReport {
  std::string task;
  size_t questions = 0;
  int shot_count = 0;
  bool is_chat = false;
  bool thinks = false;
  eval::EvalSettings settings;  // the model apart
  std::vector<eval::EvalResult> results;
};

void print_eval_json(std::ostream& out, const EvalReport& report);
void print_eval_table(std::ostream& out, const EvalReport& report);

}  // namespace beryl::cli
