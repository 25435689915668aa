#include "checkpoint/checkpoint.h"

#include <string>
#include <system_error>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/dialects/dialect.h"
#include "checkpoint/limits.h"

namespace beryl::checkpoint {
namespace {

nlohmann::json read_config(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "config.json";
  return parse_json(read_text_file(path, kConfigBytesMax), path.filename().string());
}

// ModelOpt's older exports announce themselves in a file of their own only.
QuantizationConfig read_quantization(const std::filesystem::path& directory, const nlohmann::json& config) {
  QuantizationConfig quantization = parse_quantization_config(config, "config.json");
  std::error_code ignored;
  if (!quantization.is_present() && std::filesystem::exists(directory / "hf_quant_config.json", ignored)) {
    throw Error(ErrorCode::kUnsupported,
                "hf_quant_config.json: quantisation method 'modelopt' is not supported yet",
                "supported: " + supported_quantisations());
  }
  return quantization;
}

}  // namespace

Checkpoint::Checkpoint(const std::filesystem::path& directory, const nlohmann::json& config)
    : directory_(directory),
      config_(parse_model_config(config, "config.json")),
      quantization_(read_quantization(directory, config)),
      generation_(load_generation_config(directory, config_.vocabulary_size)),
      shards_(directory),
      weights_(make_weight_map(shards_.tensors(), config_, quantization_)) {}

Checkpoint Checkpoint::open(const std::filesystem::path& directory) {
  return with_context("model '" + directory.string() + "'",
                      [&] { return Checkpoint(directory, read_config(directory)); });
}

}  // namespace beryl::checkpoint
