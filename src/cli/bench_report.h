// What `beryl bench` prints.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "eval/bench.h"
#include "eval/bench_engine.h"

namespace beryl::cli {

// What was measured, and on what.
struct BenchReport {
  std::string subject;  // the model's path, or shape and format
  std::string routing;  // empty in dense models
  int threads = 1;
  backend::Compute compute = backend::Compute::kBf16;
  uint64_t published_bytes = 0;  // of the weights
  uint64_t resident_bytes = 0;
  uint64_t cache_bytes = 0;
  eval::BenchResult result;
  std::vector<eval::ManyStreamsResult> streams;  // instead of the result, when the engine was measured
  double step_seconds = 0;                       // that it was given
};

void print_bench_json(std::ostream& out, const BenchReport& report);
void print_bench_table(std::ostream& out, const BenchReport& report);

}  // namespace beryl::cli
