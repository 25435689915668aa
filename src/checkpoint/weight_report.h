// What a checkpoint holds, by class of weights: for inspection and messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tensor_table.h"
#include "checkpoint/weight_map.h"

namespace beryl::checkpoint {

// Weights of one class that are stored alike.
struct WeightClass {
  std::string_view name;     // "attention", "dense MLP", "experts", ...
  std::string_view dialect;  // how the file spells them; empty for towers, which are not read
  std::string format;        // what the numbers are; of towers, the type of the elements
  std::string scales;        // which elements share a scale
  bool is_loaded = true;     // towers are not
  int64_t count = 0;         // matrices and vectors; of towers, tensors
  uint64_t parameters = 0;
  // In the files, scales and all. Numbers that several of the class share are counted once.
  uint64_t bytes = 0;

  double bits_per_weight() const;
};

// Tensors that are not used for one reason.
struct SkippedClass {
  std::string_view reason;
  int64_t count = 0;
  uint64_t bytes = 0;
};

struct WeightReport {
  std::vector<WeightClass> classes;  // in the order of the network, then the towers
  std::vector<SkippedClass> skipped;
  uint64_t parameters = 0;  // of the network, without towers
  // Of these, the ones that take part in a token: the experts it is routed to, one row of each table.
  uint64_t active_parameters = 0;
  int64_t tensors = 0;        // in the files
  uint64_t tensor_bytes = 0;  // of all of them
};

// `table` is the one that the map was made from.
WeightReport make_weight_report(const WeightMap& map, const ModelConfig& config, const TensorTable& table);

}  // namespace beryl::checkpoint
