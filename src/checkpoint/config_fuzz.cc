// Fuzzes the readers of config.json. Property: what is accepted has dimensions that the network can be built
// from, and every module has at most one scheme.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/error.h"
#include "base/json.h"
#include "checkpoint/model_config.h"
#include "checkpoint/quantization_config.h"

namespace {

using namespace beryl::checkpoint;

void check_model(const nlohmann::json& json) {
  const ModelConfig config = parse_model_config(json, "config");
  BERYL_CHECK(!config.layers.empty() && config.hidden_size > 0 && config.vocabulary_size > 0);
  BERYL_CHECK(config.layers.back().attention == AttentionKind::kFull);
  BERYL_CHECK(!config.is_moe() || config.experts_per_token <= config.expert_count);
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const LayerConfig& layer = config.layers[i];
    BERYL_CHECK(layer.head_dim > 0 && layer.head_dim % 2 == 0 && layer.intermediate_size > 0);
    BERYL_CHECK(layer.kv_heads > 0 && config.heads % layer.kv_heads == 0);
    BERYL_CHECK(layer.kv_source >= 0 && layer.kv_source <= static_cast<int64_t>(i));
    const LayerConfig& source = config.layers[static_cast<size_t>(layer.kv_source)];
    BERYL_CHECK(source.attention == layer.attention && source.head_dim == layer.head_dim);
    BERYL_CHECK(source.kv_source == layer.kv_source);
  }
}

void check_quantization(const nlohmann::json& json) {
  const QuantizationConfig config = parse_quantization_config(json, "config");
  const Role role = {Part::kExpertUp, 3, 7};
  const std::string_view module = "model.layers.3.experts.7.up_proj";
  const QuantizationScheme* scheme = config.find_scheme(role, module);
  const bool is_expected = scheme != nullptr && !config.rules().is_lenient();
  BERYL_CHECK(config.expects_quantised(role, module) == is_expected);
  BERYL_CHECK(scheme == nullptr || config.is_present());
}

template <typename Check>
void run(Check&& check) {
  try {
    check();
  } catch (const beryl::Error& error) {
    BERYL_CHECK(error.message().size() < 20'000);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  run([&] {
    const nlohmann::json json = beryl::parse_json(text, "config");
    run([&] { check_model(json); });
    run([&] { check_quantization(json); });
  });
  return 0;
}
