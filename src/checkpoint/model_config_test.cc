#include "checkpoint/model_config.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/expected_weights.h"

namespace beryl::checkpoint {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// What the published sizes differ in; shapes below are those of their tensors.
struct PublishedSize {
  const char* name;
  int64_t hidden, intermediate, layers, period, heads, kv_heads;
  json global_kv_heads;
  bool k_eq_v;
  int64_t shared_layers;
  bool is_double_wide;
  int64_t per_layer_input;
};

const PublishedSize kE2b = {"E2B", 1536, 6144, 35, 5, 8, 1, nullptr, false, 20, true, 256};
const PublishedSize kE4b = {"E4B", 2560, 10240, 42, 6, 8, 2, nullptr, false, 18, false, 256};
const PublishedSize k12b = {"12B", 3840, 15360, 48, 6, 16, 8, 1, true, 0, false, 0};
const PublishedSize k26b = {"26B-A4B", 2816, 2112, 30, 6, 16, 8, 2, true, 0, false, 0};
const PublishedSize k31b = {"31B", 5376, 21504, 60, 6, 32, 16, 4, true, 0, false, 0};

json text_config(const PublishedSize& size) {
  json types = json::array();
  for (int64_t i = 0; i < size.layers; ++i) {
    types.push_back((i + 1) % size.period == 0 ? "full_attention" : "sliding_attention");
  }
  return {{"model_type", "gemma4_text"},
          {"hidden_size", size.hidden},
          {"intermediate_size", size.intermediate},
          {"num_hidden_layers", size.layers},
          {"layer_types", types},
          {"num_attention_heads", size.heads},
          {"num_key_value_heads", size.kv_heads},
          {"num_global_key_value_heads", size.global_kv_heads},
          {"head_dim", 256},
          {"global_head_dim", 512},
          {"attention_k_eq_v", size.k_eq_v},
          {"num_kv_shared_layers", size.shared_layers},
          {"use_double_wide_mlp", size.is_double_wide},
          {"hidden_size_per_layer_input", size.per_layer_input},
          {"vocab_size", 262144},
          {"vocab_size_per_layer_input", 262144},
          {"max_position_embeddings", 262144},
          {"final_logit_softcapping", 30.0}};
}

json config_of(const PublishedSize& size) {
  return {{"model_type", "gemma4"}, {"text_config", text_config(size)}};
}

json moe_config() {
  json config = config_of(k26b);
  config["text_config"].update({{"enable_moe_block", true},
                                {"num_experts", 128},
                                {"top_k_experts", 8},
                                {"moe_intermediate_size", 704}});
  return config;
}

ModelConfig parse(const json& config) {
  return parse_model_config(config, "config.json");
}

using Shape = std::pair<int64_t, int64_t>;

Shape shape_of(const std::map<Role, ExpectedWeight>& weights, Part part, int32_t layer, int32_t expert = -1) {
  const auto found = weights.find({part, layer, expert});
  return found == weights.end() ? Shape(0, 0) : Shape(found->second.rows, found->second.cols);
}

// Refused with the field's name in the message.
void expect_refused(const json& config, std::string_view field, ErrorCode code = ErrorCode::kInvalidInput) {
  try {
    parse(config);
    ADD_FAILURE() << field << " is accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_THAT(error.message(), HasSubstr(field));
  }
}

TEST(ModelConfigTest, ShapesOfPublishedSizes) {
  struct Shapes {
    PublishedSize size;
    int32_t full;
    Shape q_sliding, q_full, k_sliding, k_full, o_full;
  };
  for (const Shapes& one : {
           Shapes{kE2b, 4, {2048, 1536}, {4096, 1536}, {256, 1536}, {512, 1536}, {1536, 4096}},
           Shapes{kE4b, 5, {2048, 2560}, {4096, 2560}, {512, 2560}, {1024, 2560}, {2560, 4096}},
           Shapes{k12b, 5, {4096, 3840}, {8192, 3840}, {2048, 3840}, {512, 3840}, {3840, 8192}},
           Shapes{k26b, 5, {4096, 2816}, {8192, 2816}, {2048, 2816}, {1024, 2816}, {2816, 8192}},
           Shapes{k31b, 5, {8192, 5376}, {16384, 5376}, {4096, 5376}, {2048, 5376}, {5376, 16384}},
       }) {
    SCOPED_TRACE(one.size.name);
    const auto weights = expected_weights(parse(config_of(one.size)));
    EXPECT_EQ(shape_of(weights, Part::kQ, 0), one.q_sliding);
    EXPECT_EQ(shape_of(weights, Part::kQ, one.full), one.q_full);
    EXPECT_EQ(shape_of(weights, Part::kK, 0), one.k_sliding);
    EXPECT_EQ(shape_of(weights, Part::kK, one.full), one.k_full);
    EXPECT_EQ(shape_of(weights, Part::kO, one.full), one.o_full);
    EXPECT_EQ(weights.contains({Part::kV, one.full, -1}), !one.size.k_eq_v);
    EXPECT_TRUE(weights.contains({Part::kV, 0, -1}));
  }
}

TEST(ModelConfigTest, SharedLayersOfTheSmallSizes) {
  const ModelConfig e2b = parse(config_of(kE2b));
  EXPECT_EQ(e2b.layers[14].intermediate_size, 6144);
  EXPECT_EQ(e2b.layers[15].intermediate_size, 12288);
  EXPECT_EQ(e2b.layers[14].kv_source, 14);
  EXPECT_EQ(e2b.layers[15].kv_source, 13);
  EXPECT_EQ(e2b.layers[34].kv_source, 14);
  const ModelConfig e4b = parse(config_of(kE4b));
  EXPECT_EQ(e4b.layers[24].kv_source, 22);
  EXPECT_EQ(e4b.layers[41].kv_source, 23);
  EXPECT_EQ(e4b.layers[41].intermediate_size, 10240);
  const auto weights = expected_weights(e2b);
  EXPECT_EQ(weights.at({Part::kK, 15, -1}).presence, Presence::kIgnored);
  EXPECT_EQ(shape_of(weights, Part::kPerLayerEmbedding, -1), Shape(262144, 8960));
  EXPECT_EQ(shape_of(weights, Part::kPerLayerModelProjection, -1), Shape(8960, 1536));
}

TEST(ModelConfigTest, ExpertsOfThe26b) {
  const auto weights = expected_weights(parse(moe_config()));
  EXPECT_EQ(shape_of(weights, Part::kExpertGate, 29, 127), Shape(704, 2816));
  EXPECT_EQ(shape_of(weights, Part::kExpertDown, 0, 0), Shape(2816, 704));
  EXPECT_EQ(shape_of(weights, Part::kRouterProjection, 0), Shape(128, 2816));
  EXPECT_FALSE(weights.contains({Part::kExpertGate, 0, 128}));
}

TEST(ModelConfigTest, ExpertWidthUnderItsOldName) {
  json config = moe_config();
  config["text_config"]["expert_intermediate_size"] = nullptr;
  EXPECT_EQ(parse(config).expert_intermediate_size, 704);
  config["text_config"]["moe_intermediate_size"] = nullptr;
  expect_refused(config, "moe_intermediate_size");
  config["text_config"]["expert_intermediate_size"] = 96;
  EXPECT_EQ(parse(config).expert_intermediate_size, 96);
}

TEST(ModelConfigTest, PerLayerConfigReplacesTheGlobalFields) {
  json config = config_of(k31b);
  json& text = config["text_config"];
  text.erase("global_head_dim");
  text.erase("num_global_key_value_heads");
  for (int i = 5; i < 60; i += 6) {
    text["per_layer_config"][std::to_string(i)] = {{"head_dim", 512}, {"num_key_value_heads", 4}};
  }
  const auto weights = expected_weights(parse(config));
  EXPECT_EQ(weights.size(), expected_weights(parse(config_of(k31b))).size());
  EXPECT_EQ(shape_of(weights, Part::kK, 59), Shape(2048, 5376));
  text["per_layer_config"]["60"] = {{"head_dim", 512}};
  expect_refused(config, "60");
}

TEST(ModelConfigTest, AbsentFieldsHaveTheDefaultsOfThePublishedClass) {
  const json text = {{"model_type", "gemma4_text"},
                     {"hidden_size", 64},
                     {"intermediate_size", 64},
                     {"num_hidden_layers", 8},
                     {"num_attention_heads", 4},
                     {"num_key_value_heads", 2},
                     {"head_dim", 32},
                     {"vocab_size", 100},
                     {"max_position_embeddings", 512},
                     {"final_logit_softcapping", nullptr}};
  const ModelConfig config = parse(text);
  EXPECT_EQ(config.per_layer_input_size, 256);
  EXPECT_EQ(config.per_layer_vocabulary_size, 100);
  EXPECT_EQ(config.sliding_window, 512);
  EXPECT_EQ(config.logit_soft_cap, 0);
  EXPECT_EQ(config.full_rotary.theta, 1e6);
  EXPECT_EQ(config.full_rotary.partial_factor, 0.25);
  EXPECT_EQ(config.sliding_rotary.theta, 1e4);
  EXPECT_FALSE(config.is_moe());
  EXPECT_TRUE(config.ties_head);
  EXPECT_EQ(config.layers[4].attention, AttentionKind::kSliding);
  EXPECT_EQ(config.layers[5].attention, AttentionKind::kFull);
  EXPECT_EQ(config.layers[7].attention, AttentionKind::kFull);
  EXPECT_EQ(config.layers[7].head_dim, 512);
  EXPECT_EQ(config.layers[7].kv_heads, 2);
}

TEST(ModelConfigTest, UnifiedModelsHaveNoPerLayerInputsByDefault) {
  json config = config_of(k12b);
  config["model_type"] = "gemma4_unified";
  config["text_config"]["model_type"] = "gemma4_unified_text";
  config["text_config"].erase("hidden_size_per_layer_input");
  EXPECT_FALSE(parse(config).has_per_layer_inputs());
}

TEST(ModelConfigTest, OtherModelsAreUnsupported) {
  for (const char* type : {"gemma3", "llama", "gemma4_assistant", "Gemma4"}) {
    json config = config_of(k31b);
    config["model_type"] = type;
    expect_refused(config, type, ErrorCode::kUnsupported);
  }
}

TEST(ModelConfigTest, FieldsThatContradictOrAreOutOfRangeAreNamed) {
  struct Change {
    const char* field;
    json value;
  };
  for (const Change& change : {Change{"hidden_size", 0},
                               Change{"hidden_size", -1},
                               Change{"hidden_size", "64"},
                               Change{"hidden_size", 1e300},
                               Change{"hidden_size", UINT64_MAX},
                               Change{"hidden_size", nullptr},
                               Change{"vocab_size", 1LL << 40},
                               Change{"num_hidden_layers", 59},
                               Change{"num_hidden_layers", 1 << 30},
                               Change{"num_attention_heads", 0},
                               Change{"num_key_value_heads", 33},
                               Change{"num_global_key_value_heads", 64},
                               Change{"head_dim", 1},
                               Change{"global_head_dim", 1 << 20},
                               Change{"num_kv_shared_layers", 60},
                               Change{"num_kv_shared_layers", 59},
                               Change{"sliding_window", 0},
                               Change{"rms_norm_eps", -1},
                               Change{"rms_norm_eps", "x"},
                               Change{"attention_bias", true},
                               Change{"hidden_activation", "silu"},
                               Change{"layer_types", "full_attention"},
                               Change{"layer_types", json::array()},
                               Change{"tie_word_embeddings", 1},
                               Change{"rope_parameters", 3},
                               Change{"per_layer_config", json::array({1})},
                               Change{"model_type", "gemma3_text"},
                               Change{"max_position_embeddings", 0}}) {
    SCOPED_TRACE(change.value.dump());
    json config = config_of(k31b);
    config["text_config"][change.field] = change.value;
    const std::string_view field = change.field;
    expect_refused(config, field == "num_hidden_layers" && change.value == 59 ? "layer_types" : field);
  }
}

TEST(ModelConfigTest, HeadsMustDivide) {
  json config = config_of(k31b);
  config["text_config"]["num_key_value_heads"] = 7;
  expect_refused(config, "num_attention_heads");
  config = config_of(k31b);
  config["text_config"]["head_dim"] = 33;
  expect_refused(config, "head size 33");
}

TEST(ModelConfigTest, LastLayerMustBeFull) {
  json config = config_of(k31b);
  config["text_config"]["layer_types"][59] = "sliding_attention";
  expect_refused(config, "layer_types");
  config["text_config"]["layer_types"][59] = "chunked_attention";
  expect_refused(config, "layer_types");
}

TEST(ModelConfigTest, ScaledRotaryIsRefused) {
  json config = config_of(k31b);
  config["text_config"]["rope_parameters"]["full_attention"] = {{"rope_type", "yarn"}};
  expect_refused(config, "rope_type");
  config["text_config"]["rope_parameters"]["full_attention"] = {{"factor", 8}};
  expect_refused(config, "factor");
}

TEST(ModelConfigTest, SoftCapMustBeSaid) {
  json config = config_of(k31b);
  config["text_config"].erase("final_logit_softcapping");
  expect_refused(config, "final_logit_softcapping");
}

TEST(ModelConfigTest, RootMustBeAnObject) {
  expect_refused(json::array(), "config.json");
  expect_refused(json::object(), "model_type");
  expect_refused({{"model_type", "gemma4"}}, "text_config");
  expect_refused({{"model_type", "gemma4"}, {"text_config", 1}}, "text_config");
}

}  // namespace
}  // namespace beryl::checkpoint
