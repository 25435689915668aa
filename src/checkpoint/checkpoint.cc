#include "checkpoint/checkpoint.h"

#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/config_fields.h"
#include "checkpoint/gguf_names.h"
#include "checkpoint/limits.h"

namespace beryl::checkpoint {
namespace {

nlohmann::json read_config(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "config.json";
  return parse_json(read_text_file(path, kConfigBytesMax), path.filename().string());
}

// ModelOpt's older exports describe themselves in a file of their own only. It reads like the section of
// config.json, but for the place and the name of the method.
QuantizationConfig read_modelopt_file(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const nlohmann::json file = parse_json(read_text_file(path, kConfigBytesMax), name);
  const ConfigFields fields(file, name);
  const nlohmann::json* section = fields.find("quantization");
  if (section == nullptr || !section->is_object()) fields.fail("quantization", "an object");
  const nlohmann::json* producer = fields.find("producer");
  const std::string method =
      producer == nullptr
          ? "modelopt"
          : ConfigFields(*producer, name + ": producer").find_string("name").value_or("modelopt");
  nlohmann::json config = {{"quantization_config", *section}};
  config["quantization_config"]["quant_method"] = method;
  return parse_quantization_config(config, name);
}

QuantizationConfig read_quantization(const std::filesystem::path& directory, const nlohmann::json& config) {
  QuantizationConfig quantization = parse_quantization_config(config, "config.json");
  const std::filesystem::path path = directory / "hf_quant_config.json";
  std::error_code ignored;
  if (quantization.is_present() || !std::filesystem::exists(path, ignored)) return quantization;
  return read_modelopt_file(path);
}

WeightMap make_gguf_weight_map(const TensorTable& tensors, const ModelConfig& config) {
  try {
    return make_weight_map(tensors, config, QuantizationConfig());
  } catch (const Error& error) {
    throw Error(error.code(), message_for_gguf(error.message()), message_for_gguf(error.help()));
  }
}

}  // namespace

Checkpoint::Checkpoint(const std::filesystem::path& directory, const nlohmann::json& config)
    : path_(directory),
      config_(parse_model_config(config, "config.json")),
      quantization_(read_quantization(directory, config)),
      generation_(load_generation_config(directory, config_.vocabulary_size)),
      shards_(directory),
      weights_(make_weight_map(shards_.tensors(), config_, quantization_)) {}

Checkpoint::Checkpoint(const std::filesystem::path& path, GgufModel model)
    : path_(path),
      gguf_(std::move(model.metadata)),
      config_(std::move(model.config)),
      generation_(std::move(model.generation)),
      shards_(std::move(model.shards)),
      weights_(make_gguf_weight_map(shards_.tensors(), config_)) {}

Checkpoint Checkpoint::open(const std::filesystem::path& path) {
  return with_context("model '" + path.string() + "'", [&] {
    if (const auto choice = find_gguf_file(path)) return Checkpoint(path, open_gguf(*choice));
    return Checkpoint(path, read_config(path));
  });
}

}  // namespace beryl::checkpoint
