// Opens a model directory: configuration, shards, and the map from tensors to weights. Headers only; weights
// are read when a backend asks for them.
#pragma once

#include <filesystem>

#include <nlohmann/json_fwd.hpp>

#include "checkpoint/generation_config.h"
#include "checkpoint/model_config.h"
#include "checkpoint/quantization_config.h"
#include "checkpoint/shard_set.h"
#include "checkpoint/weight_map.h"

namespace beryl::checkpoint {

// Owns the files that its WeightMap refers to.
class Checkpoint {
 public:
  // Errors: as ShardSet, parse_model_config() and make_weight_map(), with the directory in the message.
  static Checkpoint open(const std::filesystem::path& directory);

  const std::filesystem::path& directory() const { return directory_; }
  const ModelConfig& config() const { return config_; }
  const QuantizationConfig& quantization() const { return quantization_; }
  const GenerationConfig& generation() const { return generation_; }
  const ShardSet& shards() const { return shards_; }
  const WeightMap& weights() const { return weights_; }

 private:
  Checkpoint(const std::filesystem::path& directory, const nlohmann::json& config);

  std::filesystem::path directory_;
  ModelConfig config_;
  QuantizationConfig quantization_;
  GenerationConfig generation_;
  ShardSet shards_;
  WeightMap weights_;
};

}  // namespace beryl::checkpoint
