#include "checkpoint/checkpoint.h"

#include <string>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/limits.h"

namespace beryl::checkpoint {
namespace {

nlohmann::json read_config(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "config.json";
  return parse_json(read_text_file(path, kConfigBytesMax), path.filename().string());
}

}  // namespace

Checkpoint::Checkpoint(const std::filesystem::path& directory, const nlohmann::json& config)
    : directory_(directory),
      config_(parse_model_config(config, "config.json")),
      quantization_(parse_quantization_config(config, "config.json")),
      generation_(load_generation_config(directory, config_.vocabulary_size)),
      shards_(directory),
      weights_(make_weight_map(shards_.tensors(), config_, quantization_)) {}

Checkpoint Checkpoint::open(const std::filesystem::path& directory) {
  return with_context("model '" + directory.string() + "'",
                      [&] { return Checkpoint(directory, read_config(directory)); });
}

}  // namespace beryl::checkpoint
