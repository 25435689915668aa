#include "checkpoint/model_config.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "checkpoint/config_fields.h"
#include "checkpoint/limits.h"

namespace beryl::checkpoint {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kModelTypes = {"gemma4", "gemma4_unified", "gemma4_text",
                                                         "gemma4_unified_text"};

bool is_text_type(std::string_view model_type) {
  return model_type == "gemma4_text" || model_type == "gemma4_unified_text";
}

void check_model_type(const ConfigFields& fields, const std::string& model_type) {
  for (const std::string_view known : kModelTypes) {
    if (model_type == known) return;
  }
  throw Error(ErrorCode::kUnsupported,
              fmt::format("{}: model_type is \"{}\", expected one of {}", fields.path(), model_type,
                          fmt::join(kModelTypes, ", ")),
              "Beryl runs Gemma 4 checkpoints only");
}

std::vector<AttentionKind> parse_layer_types(const ConfigFields& text, int64_t layer_count) {
  std::vector<AttentionKind> kinds(static_cast<size_t>(layer_count), AttentionKind::kSliding);
  const json* types = text.find("layer_types");
  if (types == nullptr) {
    // The default of the published configuration class: five sliding layers, then a full one, and the last
    // full.
    for (size_t i = 5; i < kinds.size(); i += 6) kinds[i] = AttentionKind::kFull;
    kinds.back() = AttentionKind::kFull;
    return kinds;
  }
  if (!types->is_array() || types->size() != kinds.size()) {
    text.fail("layer_types", fmt::format("a list of {} entries (num_hidden_layers)", layer_count));
  }
  for (size_t i = 0; i < kinds.size(); ++i) {
    const json& type = (*types)[i];
    if (type == "full_attention") {
      kinds[i] = AttentionKind::kFull;
    } else if (type != "sliding_attention") {
      text.fail("layer_types", "entries \"sliding_attention\" or \"full_attention\"");
    }
  }
  if (kinds.back() != AttentionKind::kFull) text.fail("layer_types", "\"full_attention\" as the last entry");
  return kinds;
}

RotaryConfig parse_rotary(const ConfigFields& text, std::string_view name, RotaryConfig defaults,
                          std::string_view expected_type) {
  const json* all = text.find("rope_parameters");
  if (all == nullptr) return defaults;
  const ConfigFields parameters(*all, text.path() + ": rope_parameters");
  const json* one = parameters.find(name);
  if (one == nullptr) return defaults;
  const ConfigFields fields(*one, fmt::format("{}: {}", parameters.path(), name));
  const std::optional<std::string> type = fields.find_string("rope_type");
  if (type && *type != expected_type) fields.fail("rope_type", fmt::format("\"{}\"", expected_type));
  if (fields.find_number("factor", 0, 1e9).value_or(1) != 1) fields.fail("factor", "1 (no scaling)");
  return {
      .theta = fields.find_number("rope_theta", 1, 1e12).value_or(defaults.theta),
      .partial_factor = fields.find_number("partial_rotary_factor", 0, 1).value_or(defaults.partial_factor)};
}

// Head size and key/value heads of each layer: the scalar fields, those for full layers, or per_layer_config,
// which newer writers emit in place of the latter.
void parse_attention(const ConfigFields& text, ModelConfig& config) {
  const int64_t head_dim = text.integer("head_dim", 2, kHeadDimMax);
  const int64_t kv_heads = text.integer("num_key_value_heads", 1, config.heads);
  const bool k_eq_v = text.find_bool("attention_k_eq_v").value_or(false);
  const json* per_layer = text.find("per_layer_config");
  const int64_t full_head_dim =
      per_layer ? head_dim : text.find_integer("global_head_dim", 2, kHeadDimMax).value_or(512);
  const int64_t full_kv_heads =
      per_layer || !k_eq_v
          ? kv_heads
          : text.find_integer("num_global_key_value_heads", 1, config.heads).value_or(kv_heads);
  for (LayerConfig& layer : config.layers) {
    const bool is_full = layer.attention == AttentionKind::kFull;
    layer.head_dim = is_full ? full_head_dim : head_dim;
    layer.kv_heads = is_full ? full_kv_heads : kv_heads;
    layer.v_is_k = is_full && k_eq_v;
  }
  if (per_layer == nullptr) return;
  const ConfigFields entries(*per_layer, text.path() + ": per_layer_config");
  for (const auto& [name, entry] : per_layer->items()) {
    size_t index = 0;
    while (index < config.layers.size() && std::to_string(index) != name) ++index;
    if (index == config.layers.size()) {
      entries.fail(name, fmt::format("layer numbers below {} as keys", config.layers.size()));
    }
    const ConfigFields fields(entry, fmt::format("{}: {}", entries.path(), name));
    LayerConfig& layer = config.layers[index];
    layer.head_dim = fields.find_integer("head_dim", 2, kHeadDimMax).value_or(layer.head_dim);
    layer.kv_heads = fields.find_integer("num_key_value_heads", 1, config.heads).value_or(layer.kv_heads);
  }
}

void check_attention(const ConfigFields& text, const ModelConfig& config) {
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const LayerConfig& layer = config.layers[i];
    if (config.heads % layer.kv_heads != 0) {
      throw Error(
          ErrorCode::kInvalidInput,
          fmt::format("{}: layer {} has {} key/value heads, expected a divisor of num_attention_heads {}",
                      text.path(), i, layer.kv_heads, config.heads));
    }
    if (layer.head_dim % 2 != 0) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: layer {} has head size {}, expected an even number", text.path(), i,
                              layer.head_dim));
    }
  }
}

// The last num_kv_shared_layers reuse the keys and values of the last layer of their kind before them.
void parse_kv_sharing(const ConfigFields& text, ModelConfig& config) {
  const auto layer_count = static_cast<int64_t>(config.layers.size());
  const int64_t shared = text.find_integer("num_kv_shared_layers", 0, layer_count - 1).value_or(0);
  const bool is_double_wide = text.find_bool("use_double_wide_mlp").value_or(false);
  const int64_t first_shared = layer_count - shared;
  for (int64_t i = 0; i < layer_count; ++i) {
    LayerConfig& layer = config.layers[static_cast<size_t>(i)];
    layer.kv_source = i;
    if (i < first_shared) continue;
    if (is_double_wide) layer.intermediate_size *= 2;
    int64_t source = first_shared - 1;
    while (source >= 0 && config.layers[static_cast<size_t>(source)].attention != layer.attention) --source;
    if (source < 0) {
      text.fail("num_kv_shared_layers",
                fmt::format("a value that leaves layer {} a layer of its kind to share with", i));
    }
    const LayerConfig& donor = config.layers[static_cast<size_t>(source)];
    if (donor.head_dim != layer.head_dim || donor.kv_heads != layer.kv_heads) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: layer {} shares keys and values with layer {}, but their heads differ",
                              text.path(), i, source));
    }
    layer.kv_source = source;
  }
}

void parse_experts(const ConfigFields& text, ModelConfig& config) {
  if (!text.find_bool("enable_moe_block").value_or(false)) return;
  config.expert_count = text.integer("num_experts", 1, kExpertsMax);
  config.experts_per_token = text.integer("top_k_experts", 1, config.expert_count);
  // Early files call it expert_intermediate_size.
  const auto old_name = text.find_integer("expert_intermediate_size", 1, kWidthMax);
  config.expert_intermediate_size = text.find("moe_intermediate_size") != nullptr || !old_name
                                        ? text.integer("moe_intermediate_size", 1, kWidthMax)
                                        : *old_name;
}

void parse_per_layer_inputs(const ConfigFields& text, std::string_view text_type, ModelConfig& config) {
  // Absent, not null, means the configuration class's default.
  const bool is_absent = !text.contains("hidden_size_per_layer_input");
  const int64_t if_absent = is_absent && text_type == "gemma4_text" ? 256 : 0;
  config.per_layer_input_size =
      text.find_integer("hidden_size_per_layer_input", 0, kWidthMax).value_or(if_absent);
  if (config.per_layer_input_size == 0) return;
  config.per_layer_vocabulary_size =
      text.find_integer("vocab_size_per_layer_input", 1, kVocabularyMax).value_or(config.vocabulary_size);
}

}  // namespace

ModelConfig parse_model_config(const json& root, std::string_view source) {
  const ConfigFields top(root, std::string(source));
  ModelConfig config;
  config.model_type = top.find_string("model_type").value_or("");
  if (config.model_type.empty()) top.fail("model_type", "\"gemma4\" or a relative");
  check_model_type(top, config.model_type);

  const json* nested = is_text_type(config.model_type) ? &root : top.find("text_config");
  if (nested == nullptr) top.fail("text_config", "the text model's configuration");
  const ConfigFields text(*nested, nested == &root ? top.path() : top.path() + ": text_config");
  const bool is_unified = config.model_type.starts_with("gemma4_unified");
  const std::string text_type =
      text.find_string("model_type").value_or(is_unified ? "gemma4_unified_text" : "gemma4_text");
  if (!is_text_type(text_type)) text.fail("model_type", "\"gemma4_text\" or \"gemma4_unified_text\"");

  const std::string activation = text.find_string("hidden_activation").value_or("gelu_pytorch_tanh");
  if (activation != "gelu_pytorch_tanh") text.fail("hidden_activation", "\"gelu_pytorch_tanh\"");
  if (text.find_bool("attention_bias").value_or(false)) text.fail("attention_bias", "false");

  config.hidden_size = text.integer("hidden_size", 1, kWidthMax);
  config.vocabulary_size = text.integer("vocab_size", 1, kVocabularyMax);
  config.heads = text.integer("num_attention_heads", 1, kWidthMax);
  config.sliding_window = text.find_integer("sliding_window", 1, kPositionsMax).value_or(512);
  config.position_count_max = text.integer("max_position_embeddings", 1, kPositionsMax);
  config.norm_epsilon = static_cast<float>(text.find_number("rms_norm_eps", 0, 1).value_or(1e-6));
  // Null is published (drafters); a file that does not say is not guessed at.
  if (!text.contains("final_logit_softcapping")) text.fail("final_logit_softcapping", "a number or null");
  config.logit_soft_cap = static_cast<float>(text.find_number("final_logit_softcapping", 0, 1e6).value_or(0));
  config.ties_head =
      text.find_bool("tie_word_embeddings").value_or(top.find_bool("tie_word_embeddings").value_or(true));
  config.sliding_rotary =
      parse_rotary(text, "sliding_attention", {.theta = 1e4, .partial_factor = 1}, "default");
  config.full_rotary =
      parse_rotary(text, "full_attention", {.theta = 1e6, .partial_factor = 0.25}, "proportional");

  const int64_t layer_count = text.integer("num_hidden_layers", 1, kLayersMax);
  for (const AttentionKind kind : parse_layer_types(text, layer_count)) {
    config.layers.push_back(
        {.attention = kind, .intermediate_size = text.integer("intermediate_size", 1, kWidthMax)});
  }
  parse_attention(text, config);
  check_attention(text, config);
  parse_kv_sharing(text, config);
  parse_experts(text, config);
  parse_per_layer_inputs(text, text_type, config);
  return config;
}

}  // namespace beryl::checkpoint
