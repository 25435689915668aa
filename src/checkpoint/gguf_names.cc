#include "checkpoint/gguf_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace beryl::checkpoint {
namespace {

struct NamePair {
  std::string_view gguf;
  std::string_view name;
};

constexpr std::string_view kPrefix = "model.language_model.";
constexpr std::string_view kLayerPrefix = "layers.";
constexpr std::string_view kBlockPrefix = "blk.";

// Of the whole model; the head alone has no prefix.
constexpr std::array kModelNames = {
    NamePair{"token_embd.weight", "model.language_model.embed_tokens.weight"},
    NamePair{"output_norm.weight", "model.language_model.norm.weight"},
    NamePair{"output.weight", "lm_head.weight"},
    NamePair{"per_layer_token_embd.weight", "model.language_model.embed_tokens_per_layer.weight"},
    NamePair{"per_layer_model_proj.weight", "model.language_model.per_layer_model_projection.weight"},
    NamePair{"per_layer_proj_norm.weight", "model.language_model.per_layer_projection_norm.weight"},
};

// Of a layer, below "blk.N." and "model.language_model.layers.N.".
constexpr std::array kLayerNames = {
    NamePair{"attn_norm.weight", "input_layernorm.weight"},
    NamePair{"attn_q.weight", "self_attn.q_proj.weight"},
    NamePair{"attn_k.weight", "self_attn.k_proj.weight"},
    NamePair{"attn_v.weight", "self_attn.v_proj.weight"},
    NamePair{"attn_output.weight", "self_attn.o_proj.weight"},
    NamePair{"attn_q_norm.weight", "self_attn.q_norm.weight"},
    NamePair{"attn_k_norm.weight", "self_attn.k_norm.weight"},
    NamePair{"post_attention_norm.weight", "post_attention_layernorm.weight"},
    NamePair{"ffn_norm.weight", "pre_feedforward_layernorm.weight"},
    NamePair{"ffn_gate.weight", "mlp.gate_proj.weight"},
    NamePair{"ffn_up.weight", "mlp.up_proj.weight"},
    NamePair{"ffn_down.weight", "mlp.down_proj.weight"},
    NamePair{"post_ffw_norm.weight", "post_feedforward_layernorm.weight"},
    NamePair{"post_ffw_norm_1.weight", "post_feedforward_layernorm_1.weight"},
    NamePair{"pre_ffw_norm_2.weight", "pre_feedforward_layernorm_2.weight"},
    NamePair{"post_ffw_norm_2.weight", "post_feedforward_layernorm_2.weight"},
    NamePair{"layer_output_scale.weight", "layer_scalar"},
    NamePair{"ffn_gate_inp.weight", "router.proj.weight"},
    NamePair{"ffn_gate_inp.scale", "router.scale"},
    NamePair{"ffn_gate_up_exps.weight", "experts.gate_up_proj"},
    NamePair{"ffn_down_exps.weight", "experts.down_proj"},
    // Of NVFP4 files too, where the scale of the codes is multiplied into it: it is applied at the same
    // place.
    NamePair{"ffn_down_exps.scale", "router.per_expert_scale"},
    NamePair{"inp_gate.weight", "per_layer_input_gate.weight"},
    NamePair{"proj.weight", "per_layer_projection.weight"},
    NamePair{"post_norm.weight", "post_per_layer_input_norm.weight"},
};

// Takes `prefix`, digits and a dot from the front; returns the digits.
std::optional<std::string_view> take_index(std::string_view& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  const std::string_view rest = name.substr(prefix.size());
  const size_t length = std::min(rest.find_first_not_of("0123456789"), rest.size());
  if (length == 0 || length == rest.size() || rest[length] != '.') return std::nullopt;
  name = rest.substr(length + 1);
  return rest.substr(0, length);
}

}  // namespace

std::optional<std::string> name_from_gguf(std::string_view gguf_name) {
  if (const auto index = take_index(gguf_name, kBlockPrefix)) {
    const auto pair = std::ranges::find(kLayerNames, gguf_name, &NamePair::gguf);
    if (pair == kLayerNames.end()) return std::nullopt;
    return fmt::format("{}{}{}.{}", kPrefix, kLayerPrefix, *index, pair->name);
  }
  const auto pair = std::ranges::find(kModelNames, gguf_name, &NamePair::gguf);
  if (pair == kModelNames.end()) return std::nullopt;
  return std::string(pair->name);
}

std::optional<std::string> name_to_gguf(std::string_view name) {
  if (const auto pair = std::ranges::find(kModelNames, name, &NamePair::name); pair != kModelNames.end()) {
    return std::string(pair->gguf);
  }
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  const auto index = take_index(name, kLayerPrefix);
  if (!index) return std::nullopt;
  const auto pair = std::ranges::find(kLayerNames, name, &NamePair::name);
  if (pair == kLayerNames.end()) return std::nullopt;
  return fmt::format("{}{}.{}", kBlockPrefix, *index, pair->gguf);
}

std::string message_for_gguf(std::string_view message) {
  constexpr std::string_view kConfigFile = "config.json";
  std::string result;
  while (!message.empty()) {
    if (message.starts_with(kConfigFile)) {
      result += "the file's metadata";
      message.remove_prefix(kConfigFile.size());
      continue;
    }
    const size_t end = message.front() == '\'' ? message.find('\'', 1) : std::string_view::npos;
    if (end != std::string_view::npos) {
      const std::string_view name = message.substr(1, end - 1);
      auto renamed = name_to_gguf(name);
      if (!renamed) renamed = name_to_gguf(std::string(name) + ".weight");
      if (renamed) {
        result += fmt::format("'{}'", *renamed);
        message.remove_prefix(end + 1);
        continue;
      }
    }
    result += message.front();
    message.remove_prefix(1);
  }
  return result;
}

}  // namespace beryl::checkpoint
