// Fuzzes the way from tensors to weights: a small sound table of tensors, FP8 or bf16, damaged as the input
// says. Property: the map is refused with an Error, or complete and of the right sizes.
#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/error.h"
#include "checkpoint/expected_weights.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/weight_map.h"

namespace {

using namespace beryl::checkpoint;
using beryl::formats::DType;

// Consumes the input from the front; zeros when it is used up.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  bool empty() const { return position_ >= size_; }
  size_t below(size_t count) {
    const size_t high = next();
    return (high * 256 + next()) % count;
  }

 private:
  size_t next() { return empty() ? 0 : data_[position_++]; }

  const uint8_t* data_;
  size_t size_;
  size_t position_ = 0;
};

nlohmann::json make_config(bool is_fp8) {
  nlohmann::json config = {{"model_type", "gemma4_text"},
                           {"hidden_size", 8},
                           {"intermediate_size", 6},
                           {"num_hidden_layers", 2},
                           {"layer_types", {"sliding_attention", "full_attention"}},
                           {"num_attention_heads", 2},
                           {"num_key_value_heads", 1},
                           {"head_dim", 4},
                           {"global_head_dim", 4},
                           {"attention_k_eq_v", true},
                           {"hidden_size_per_layer_input", 4},
                           {"enable_moe_block", true},
                           {"num_experts", 2},
                           {"top_k_experts", 1},
                           {"moe_intermediate_size", 4},
                           {"vocab_size", 10},
                           {"max_position_embeddings", 64},
                           {"final_logit_softcapping", 30}};
  if (!is_fp8) return config;
  config["quantization_config"] = {
      {"quant_method", "compressed-tensors"},
      {"ignore", {"re:.*embed.*", "re:.*router.*", "lm_head"}},
      {"config_groups",
       {{"group_0",
         {{"targets", {"Linear"}},
          {"weights", {{"type", "float"}, {"num_bits", 8}, {"strategy", "channel"}}}}}}}};
  return config;
}

bool has_own_name(Part part) {
  return part == Part::kLayerScalar || part == Part::kRouterScale || part == Part::kPerExpertScale;
}

std::vector<TensorRecord> make_tensors(const ModelConfig& config, const QuantizationConfig& quantization) {
  std::vector<TensorRecord> tensors;
  for (const auto& [role, expected] : expected_weights(config)) {
    const std::string module = "model." + role_name(role);
    std::vector<int64_t> shape = {expected.rows};
    if (!expected.is_vector) shape.push_back(expected.cols);
    const bool is_fp8 = quantization.expects_quantised(role, module);
    tensors.push_back({.name = has_own_name(role.part) ? module : module + ".weight",
                       .dtype = is_fp8 ? DType::kF8E4M3 : DType::kBf16,
                       .shape = shape,
                       .range = {}});
    if (is_fp8) tensors.push_back({module + ".weight_scale", DType::kBf16, {expected.rows, 1}, {}});
  }
  return tensors;
}

void damage_name(std::string& name, Choices& choices) {
  constexpr std::array<std::string_view, 10> kPieces = {
      ".weight",  ".weight_scale", ".input_scale", "_packed", "moe.",
      "experts.", "layers.1.",     "model.",       "7",       ""};
  const size_t at = choices.below(name.size() + 1);
  const size_t length = choices.below(12);
  name.replace(at, length, kPieces[choices.below(kPieces.size())]);
}

void damage(std::vector<TensorRecord>& tensors, Choices& choices) {
  if (tensors.empty()) return;
  const size_t index = choices.below(tensors.size());
  TensorRecord& tensor = tensors[index];
  constexpr std::array<int64_t, 8> kSizes = {0, 1, 2, 3, 4, 8, 10, int64_t{1} << 40};
  switch (choices.below(6)) {
    case 0:
      tensors.erase(tensors.begin() + static_cast<std::ptrdiff_t>(index));
      break;
    case 1:
      tensor.dtype = static_cast<DType>(choices.below(static_cast<size_t>(DType::kC64) + 1));
      break;
    case 2:
      tensor.shape.clear();
      for (size_t rank = choices.below(4); rank > 0; --rank) {
        tensor.shape.push_back(kSizes[choices.below(kSizes.size())]);
      }
      break;
    case 3:
      damage_name(tensor.name, choices);
      break;
    case 4: {
      TensorRecord copy = tensor;
      damage_name(copy.name, choices);
      tensors.push_back(std::move(copy));
      break;
    }
    default:
      std::swap(tensor.name, tensors[choices.below(tensors.size())].name);
  }
}

// As the reader of headers leaves them: names once, sizes that follow from type and shape.
TensorTable make_table(std::vector<TensorRecord> tensors) {
  TensorTable table;
  for (TensorRecord& tensor : tensors) {
    const auto bytes = tensor_bytes(tensor.dtype, tensor.shape);
    if (!bytes || table.find(tensor.name) != nullptr) continue;
    tensor.range.bytes = *bytes;
    table.add(std::move(tensor));
  }
  return table;
}

void check_map(const WeightMap& map, const ModelConfig& config) {
  for (const auto& [role, expected] : expected_weights(config)) {
    const Weight* weight = map.find(role);
    BERYL_CHECK(weight != nullptr || expected.presence != Presence::kRequired);
    if (weight == nullptr) continue;
    BERYL_CHECK(weight->matrix.rows == expected.rows && weight->matrix.cols == expected.cols);
    BERYL_CHECK(weight->matrix.codes.count() == expected.rows * expected.cols);
    BERYL_CHECK(weight->matrix.scales.has_value() ==
                (weight->matrix.format == beryl::formats::Format::kFp8E4m3));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(data, size);
  const nlohmann::json json = make_config(choices.below(2) == 1);
  const ModelConfig config = parse_model_config(json, "config");
  const QuantizationConfig quantization = parse_quantization_config(json, "config");
  std::vector<TensorRecord> tensors = make_tensors(config, quantization);
  for (int i = 0; i < 8 && !choices.empty(); ++i) damage(tensors, choices);
  const TensorTable table = make_table(std::move(tensors));
  try {
    check_map(make_weight_map(table, config, quantization), config);
  } catch (const beryl::Error& error) {
    BERYL_CHECK(error.message().size() < 10'000);
  }
  return 0;
}
