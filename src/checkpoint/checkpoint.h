// Opens a model, a directory or a GGUF file: configuration, shards, and the map from tensors to weights.
// Headers only; weights are read when a backend asks for them.
#pragma once

#include <filesystem>
#include <optional>

#include <nlohmann/json_fwd.hpp>

#include "checkpoint/generation_config.h"
#include "checkpoint/gguf_files.h"
#include "checkpoint/model_config.h"
#include "checkpoint/quantization_config.h"
#include "checkpoint/shard_set.h"
#include "checkpoint/weight_map.h"

namespace beryl::checkpoint {

// Owns the files that its WeightMap refers to.
class Checkpoint {
 public:
  // `path` is a directory, or a GGUF file. A directory whose only weights are one GGUF file is that file.
  // Errors: as ShardSet, parse_model_config(), open_gguf() and make_weight_map(), with the path in the
  // message.
  static Checkpoint open(const std::filesystem::path& path);

  // What was opened.
  const std::filesystem::path& path() const { return path_; }
  // What a GGUF file says beyond the configuration, such as its tokenizer; null for other checkpoints.
  const GgufMetadata* gguf() const { return gguf_ ? &*gguf_ : nullptr; }
  const ModelConfig& config() const { return config_; }
  const QuantizationConfig& quantization() const { return quantization_; }
  const GenerationConfig& generation() const { return generation_; }
  const ShardSet& shards() const { return shards_; }
  const WeightMap& weights() const { return weights_; }

 private:
  Checkpoint(const std::filesystem::path& directory, const nlohmann::json& config);
  Checkpoint(const std::filesystem::path& path, GgufModel model);

  std::filesystem::path path_;
  std::optional<GgufMetadata> gguf_;
  ModelConfig config_;
  QuantizationConfig quantization_;
  GenerationConfig generation_;
  ShardSet shards_;
  WeightMap weights_;
};

}  // namespace beryl::checkpoint
