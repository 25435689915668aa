// What a checkpoint holds, by class of weights: for inspection and messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/weight_map.h"

namespace beryl::checkpoint {

// Weights of one class that are stored alike.
struct WeightClass {
  std::string_view name;     // "attention", "dense MLP", "experts", ...
  std::string_view dialect;  // how the file spells them
  std::string_view format;   // what the numbers are
  std::string scales;        // which elements share a scale
  int64_t count = 0;         // matrices or vectors
  uint64_t parameters = 0;
  uint64_t bytes = 0;  // as published, scales included
};

struct SkippedClass {
  std::string_view reason;
  int64_t count = 0;
};

struct WeightReport {
  std::vector<WeightClass> classes;  // in the order of the network
  std::vector<SkippedClass> skipped;
};

WeightReport make_weight_report(const WeightMap& map);

// As a table, a line each.
std::string format_weight_report(const WeightReport& report);

}  // namespace beryl::checkpoint
