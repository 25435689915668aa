#include "checkpoint/gguf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "checkpoint/limits.h"

namespace beryl::checkpoint {
namespace {

constexpr std::string_view kArchitectureKey = "general.architecture";
constexpr std::string_view kArchitecture = "gemma4";
constexpr double kFullPartialFactor = 0.25;  // what rope_freqs.weight says of Gemma 4

// Keys of Gemma 4's network that have one value only. Absent, they have it.
struct FixedNumber {
  std::string_view key;
  double value;
};
constexpr std::array kFixedNumbers = {
    FixedNumber{"gemma4.attn_logit_softcapping", 0}, FixedNumber{"gemma4.attention.scale", 1},
    FixedNumber{"gemma4.rope.scaling.factor", 1},    FixedNumber{"gemma4.expert_shared_count", 0},
    FixedNumber{"gemma4.expert_weights_scale", 1},   FixedNumber{"gemma4.expert_group_count", 0},
};

class ConfigReader {
 public:
  ConfigReader(const GgufMetadata& metadata, std::span<const TensorRecord> tensors)
      : metadata_(metadata), tensors_(tensors) {}

  ModelConfig read() {
    check_architecture();
    config_.model_type = kArchitecture;
    config_.hidden_size = metadata_.integer("gemma4.embedding_length", 1, kWidthMax);
    config_.position_count_max = metadata_.integer("gemma4.context_length", 1, kPositionsMax);
    config_.sliding_window = metadata_.integer("gemma4.attention.sliding_window", 1, kPositionsMax);
    config_.norm_epsilon = static_cast<float>(number("gemma4.attention.layer_norm_rms_epsilon", 0, 1));
    config_.logit_soft_cap =
        static_cast<float>(metadata_.find_number("gemma4.final_logit_softcapping", 0, 1e6).value_or(0));
    config_.full_rotary = {.theta = number("gemma4.rope.freq_base", 1, 1e12),
                           .partial_factor = kFullPartialFactor};
    config_.sliding_rotary = {.theta = number("gemma4.rope.freq_base_swa", 1, 1e12), .partial_factor = 1};
    read_vocabularies();
    read_layers();
    read_experts();
    share_keys_and_values();
    return std::move(config_);
  }

 private:
  void check_architecture() const {
    const auto architecture = metadata_.find_string(kArchitectureKey);
    if (!architecture) metadata_.fail(kArchitectureKey, "'gemma4'");
    if (*architecture != kArchitecture) {
      const bool is_tower = *architecture == "clip";
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("{} is {}, expected 'gemma4'", kArchitectureKey, quote(*architecture, 60)),
                  is_tower ? "this file holds a vision or audio tower; give the file of the language model"
                           : "Beryl runs Gemma 4 checkpoints only");
    }
    for (const FixedNumber& fixed : kFixedNumbers) {
      if (metadata_.find_number(fixed.key, -1e30, 1e30).value_or(fixed.value) != fixed.value) {
        metadata_.fail(fixed.key, fmt::format("{}, as Gemma 4 has it", fixed.value));
      }
    }
    const auto scaling = metadata_.find_string("gemma4.rope.scaling.type").value_or("none");
    if (scaling != "none") metadata_.fail("gemma4.rope.scaling.type", "'none'");
    if (!metadata_.find_bool("gemma4.attention.causal").value_or(true)) {
      metadata_.fail("gemma4.attention.causal", "true");
    }
  }

  double number(std::string_view key, double min, double max) const {
    const auto value = metadata_.find_number(key, min, max);
    if (!value) metadata_.fail(key, fmt::format("a number from {} to {}", min, max));
    return *value;
  }

  const TensorRecord* find_tensor(std::string_view name) const {
    const auto tensor = std::ranges::find(tensors_, name, &TensorRecord::name);
    return tensor == tensors_.end() ? nullptr : &*tensor;
  }

  // Rows of a table with a row for each token.
  int64_t table_rows(std::string_view name) const {
    const TensorRecord* tensor = find_tensor(name);
    if (tensor == nullptr)
      throw Error(ErrorCode::kInvalidInput, fmt::format("there is no tensor '{}'", name));
    if (tensor->shape.size() != 2 || tensor->shape[0] > kVocabularyMax) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("tensor '{}' has shape {}, expected [tokens, width] with at most {} tokens",
                              name, shape_text(tensor->shape), kVocabularyMax));
    }
    return tensor->shape[0];
  }

  void read_vocabularies() {
    config_.vocabulary_size = table_rows("token_embd.weight");
    config_.ties_head = find_tensor("output.weight") == nullptr;
    config_.per_layer_input_size =
        metadata_.find_integer("gemma4.embedding_length_per_layer_input", 0, kWidthMax).value_or(0);
    if (config_.per_layer_input_size > 0) {
      config_.per_layer_vocabulary_size = table_rows("per_layer_token_embd.weight");
    }
  }

  // One number for each layer: an array, or one number for all.
  std::vector<int64_t> layer_numbers(std::string_view key, int64_t max) const {
    const auto position = metadata_.values().find(key);
    if (position == metadata_.values().end() || !position->second.is_array) {
      return std::vector<int64_t>(layer_count_, metadata_.integer(key, 1, max));
    }
    std::vector<int64_t> numbers = metadata_.find_integers(key, 1, max).value();
    check_length(key, numbers.size());
    return numbers;
  }

  void check_length(std::string_view key, size_t length) const {
    if (length == layer_count_) return;
    metadata_.fail(key, fmt::format("{} elements (gemma4.block_count)", layer_count_));
  }

  int64_t head_size(std::string_view ending) const {
    const std::string key = fmt::format("gemma4.attention.key_length{}", ending);
    const int64_t size = metadata_.integer(key, 2, kHeadDimMax);
    if (size % 2 != 0) metadata_.fail(key, "an even number");
    // The values of a head are as wide as its keys, and all of a head is given to the rotation.
    for (const std::string_view name : {"attention.value_length", "rope.dimension_count"}) {
      const std::string other = fmt::format("gemma4.{}{}", name, ending);
      if (metadata_.find_integer(other, 0, kHeadDimMax).value_or(size) != size) {
        metadata_.fail(other, fmt::format("{}, as {}", size, key));
      }
    }
    return size;
  }

  void read_layers() {
    layer_count_ = static_cast<size_t>(metadata_.integer("gemma4.block_count", 1, kLayersMax));
    constexpr std::string_view kPatternKey = "gemma4.attention.sliding_window_pattern";
    const auto is_sliding = metadata_.find_bools(kPatternKey);
    if (!is_sliding) metadata_.fail(kPatternKey, "an array of booleans");
    check_length(kPatternKey, is_sliding->size());
    if (is_sliding->back()) metadata_.fail(kPatternKey, "false (full attention) as the last element");

    const std::vector<int64_t> heads = layer_numbers("gemma4.attention.head_count", kWidthMax);
    const std::vector<int64_t> kv_heads = layer_numbers("gemma4.attention.head_count_kv", kWidthMax);
    const std::vector<int64_t> widths = layer_numbers("gemma4.feed_forward_length", kWidthMax);
    config_.heads = heads.front();
    const int64_t full_head = head_size("");
    const int64_t sliding_head = head_size("_swa");
    for (size_t i = 0; i < layer_count_; ++i) {
      if (heads[i] != config_.heads) metadata_.fail("gemma4.attention.head_count", "the same for all layers");
      if (config_.heads % kv_heads[i] != 0) {
        metadata_.fail("gemma4.attention.head_count_kv",
                       fmt::format("divisors of {} (gemma4.attention.head_count); layer {} has {}",
                                   config_.heads, i, kv_heads[i]));
      }
      const bool slides = (*is_sliding)[i];
      config_.layers.push_back({.attention = slides ? AttentionKind::kSliding : AttentionKind::kFull,
                                .head_dim = slides ? sliding_head : full_head,
                                .kv_heads = kv_heads[i],
                                .intermediate_size = widths[i],
                                .v_is_k = !slides && takes_values_from_keys(i),
                                .kv_source = static_cast<int64_t>(i)});
    }
  }

  // A layer with keys of its own and without values of its own.
  bool takes_values_from_keys(size_t layer) const {
    return find_tensor(fmt::format("blk.{}.attn_v.weight", layer)) == nullptr &&
           find_tensor(fmt::format("blk.{}.attn_k.weight", layer)) != nullptr;
  }

  void read_experts() {
    config_.expert_count = metadata_.find_integer("gemma4.expert_count", 0, kExpertsMax).value_or(0);
    if (config_.expert_count == 0) return;
    config_.experts_per_token = metadata_.integer("gemma4.expert_used_count", 1, config_.expert_count);
    config_.expert_intermediate_size = metadata_.integer("gemma4.expert_feed_forward_length", 1, kWidthMax);
  }

  // The last layers reuse the keys and values of the last layer of their kind before them.
  void share_keys_and_values() {
    constexpr std::string_view kSharedKey = "gemma4.attention.shared_kv_layers";
    const auto count = static_cast<int64_t>(layer_count_);
    const int64_t first = count - metadata_.find_integer(kSharedKey, 0, count - 1).value_or(0);
    for (int64_t i = first; i < count; ++i) {
      LayerConfig& layer = config_.layers[static_cast<size_t>(i)];
      int64_t source = first - 1;
      while (source >= 0 && config_.layers[static_cast<size_t>(source)].attention != layer.attention)
        --source;
      if (source < 0) {
        metadata_.fail(kSharedKey, fmt::format("a number that leaves layer {} a layer of its kind", i));
      }
      const LayerConfig& donor = config_.layers[static_cast<size_t>(source)];
      if (donor.kv_heads != layer.kv_heads) {
        metadata_.fail("gemma4.attention.head_count_kv",
                       fmt::format("the same number in layers {} and {}, which share keys", source, i));
      }
      layer.kv_source = source;
      layer.v_is_k = donor.v_is_k;
    }
  }

  const GgufMetadata& metadata_;
  const std::span<const TensorRecord> tensors_;
  size_t layer_count_ = 0;
  ModelConfig config_;
};

}  // namespace

ModelConfig read_model_config(const GgufMetadata& metadata, std::span<const TensorRecord> tensors) {
  return ConfigReader(metadata, tensors).read();
}

void check_rotary_factors(const TensorRecord& tensor, const ModelConfig& config) {
  constexpr float kNoTurn = 1e30F;  // a pair whose angle is divided by that does not turn
  const auto full = std::ranges::find(config.layers, AttentionKind::kFull, &LayerConfig::attention);
  const int64_t pairs = full == config.layers.end() ? 0 : full->head_dim / 2;
  const auto turning = static_cast<int64_t>(static_cast<double>(pairs) * config.full_rotary.partial_factor);
  const std::string expected = fmt::format("{} times 1 and {} times 1e30", turning, pairs - turning);
  if (tensor.dtype != formats::DType::kF32 || tensor.shape != std::vector<int64_t>{pairs}) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("tensor '{}' is {} {}, expected F32 [{}]: {}", tensor.name,
                            formats::dtype_name(tensor.dtype), shape_text(tensor.shape), pairs, expected));
  }
  std::vector<float> factors(static_cast<size_t>(pairs));
  tensor.range.file->read(tensor.range.offset, std::as_writable_bytes(std::span(factors)));
  for (int64_t i = 0; i < pairs; ++i) {
    const float factor = factors[static_cast<size_t>(i)];
    if (factor == (i < turning ? 1.0F : kNoTurn)) continue;
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("tensor '{}' has {} at position {}, expected {}", tensor.name, factor, i, expected),
        "a rotary embedding that is not Gemma 4's is not supported");
  }
}

GenerationConfig read_generation_config(const GgufMetadata& metadata, int64_t vocabulary_size) {
  GenerationConfig config;
  const int64_t id_max = std::min<int64_t>(vocabulary_size, INT32_MAX) - 1;
  const auto find_id = [&](std::string_view key) -> std::optional<int32_t> {
    const auto id = metadata.find_integer(key, 0, id_max);
    if (!id) return std::nullopt;
    return static_cast<int32_t>(*id);
  };
  std::vector<int32_t> ends;
  for (const std::string_view name : {"eos", "eot", "eom"}) {
    if (const auto id = find_id(fmt::format("tokenizer.ggml.{}_token_id", name))) ends.push_back(*id);
  }
  const auto tokens =
      metadata.find_strings("tokenizer.ggml.tokens").value_or(std::vector<std::string_view>());
  for (const std::string_view text : {"<turn|>", "<|tool_response>"}) {
    const auto token = std::ranges::find(tokens, text);
    const int64_t id = token - tokens.begin();
    if (token != tokens.end() && id <= id_max) ends.push_back(static_cast<int32_t>(id));
  }
  std::ranges::sort(ends);
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  if (!ends.empty()) config.eos_token_ids = std::move(ends);
  config.bos_token_id = find_id("tokenizer.ggml.bos_token_id");
  config.pad_token_id = find_id("tokenizer.ggml.padding_token_id");
  if (const auto ids = metadata.find_integers("tokenizer.ggml.suppress_tokens", 0, id_max)) {
    config.suppress_tokens.assign(ids->begin(), ids->end());
    std::ranges::sort(config.suppress_tokens);
    const auto twins = std::ranges::unique(config.suppress_tokens);
    config.suppress_tokens.erase(twins.begin(), twins.end());
  }

  const auto set_number = [&](float& target, std::string_view name, double min, double max) {
    const auto value = metadata.find_number(fmt::format("general.sampling.{}", name), min, max);
    if (value) target = static_cast<float>(*value);
  };
  set_number(config.temperature, "temp", 0, 2);
  set_number(config.top_p, "top_p", 0, 1);
  set_number(config.min_p, "min_p", 0, 1);
  set_number(config.repetition_penalty, "penalty_repeat", 0.01, 2);
  if (const auto top_k = metadata.find_integer("general.sampling.top_k", 0, INT32_MAX)) {
    config.top_k = static_cast<int32_t>(*top_k);
  }
  return config;
}

}  // namespace beryl::checkpoint
