// A model in a GGUF file, or in the parts that such a file was split into (NAME-00001-of-00003.gguf).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/generation_config.h"
#include "checkpoint/gguf_metadata.h"
#include "checkpoint/model_config.h"
#include "checkpoint/shard_set.h"

namespace beryl::checkpoint {

struct GgufChoice {
  std::filesystem::path file;  // of a model in parts, the first
  // Names of files beside it that say something about a model too and are not read, sorted. Empty when the
  // user named the file.
  std::vector<std::string> ignored_files;
};

// The GGUF file that `model` stands for: itself when it is no directory; the only one in a directory without
// safetensors files, other than those of vision and audio towers (mmproj*.gguf). Nothing for a directory
// without one. Errors: kInvalidInput when there are several, with their names; kNotFound, kIo.
std::optional<GgufChoice> find_gguf_file(const std::filesystem::path& model);

// All that a checkpoint needs. Tensors have Hugging Face's names, except those that are unknown, which keep
// their own.
struct GgufModel {
  ShardSet shards;
  GgufMetadata metadata;
  ModelConfig config;
  GenerationConfig generation;
};

// Opens the file and the other parts of the model, and reads their headers and the rotary factors; no weight
// is read. The factors are checked and then left out of the tensors, as they agree with the configuration. A
// GGUF file says everything about its model, so nothing beside it is read. Errors: kNotFound for a missing
// part; as read_gguf_header(), read_model_config() and read_generation_config(); kUnsupported for experts
// whose gate and up are separate tensors.
GgufModel open_gguf(const GgufChoice& choice);

// The metadata alone, of a model in parts that of the first.
GgufMetadata read_gguf_metadata(const std::filesystem::path& file);

}  // namespace beryl::checkpoint
