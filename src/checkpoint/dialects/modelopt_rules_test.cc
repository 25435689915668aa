#include "checkpoint/dialects/modelopt_rules.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace beryl::checkpoint {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr Role kUp = {Part::kUp, 0};
constexpr Role kQ = {Part::kQ, 0};
const std::string kUpName = "model.language_model.layers.0.mlp.up_proj";
const std::string kQName = "model.language_model.layers.0.self_attn.q_proj";

QuantizationConfig parse(json section) {
  section["quant_method"] = "modelopt";
  return parse_quantization_config({{"quantization_config", section}}, "config.json");
}

// The algorithm of a module; empty for none.
std::string algorithm_of(const QuantizationConfig& config, const Role& role, const std::string& name) {
  const QuantizationScheme* scheme = config.find_scheme(role, name);
  return scheme == nullptr ? "" : scheme->format;
}

TEST(ModelOptRulesTest, OneAlgorithmIsForAllLinears) {
  const QuantizationConfig config = parse({{"quant_algo", "NVFP4"}, {"group_size", 16}});
  const QuantizationScheme* scheme = config.find_scheme(kUp, kUpName);
  ASSERT_NE(scheme, nullptr);
  EXPECT_EQ(scheme->type, "float");
  EXPECT_EQ(scheme->bits, 4);
  EXPECT_EQ(scheme->group_size, 16);
  EXPECT_TRUE(scheme->has_static_activations);
  EXPECT_TRUE(config.expects_quantised(kUp, kUpName));
  EXPECT_EQ(algorithm_of(config, {Part::kEmbedding}, "model.language_model.embed_tokens"), "");
}

TEST(ModelOptRulesTest, SmallLettersAreUnderstood) {
  const QuantizationConfig config = parse({{"quant_algo", "fp8_pb_wo"}});
  const QuantizationScheme* scheme = config.find_scheme(kUp, kUpName);
  ASSERT_NE(scheme, nullptr);
  EXPECT_EQ(scheme->format, "FP8_PB_WO");
  EXPECT_EQ(scheme->block_rows, 128);
  EXPECT_EQ(scheme->block_cols, 128);
  EXPECT_FALSE(scheme->has_static_activations);
}

TEST(ModelOptRulesTest, ExcludedNamesAreWildcards) {
  for (const char* field : {"ignore", "exclude_modules"}) {
    const QuantizationConfig config =
        parse({{"quant_algo", "FP8"},
               {field, {"lm_head", "model.language_model.layers.0.self_attn*", "*.up", "mlp.up_proj"}}});
    EXPECT_EQ(algorithm_of(config, kQ, kQName), "");
    EXPECT_EQ(algorithm_of(config, kUp, kUpName), "FP8");
    EXPECT_EQ(algorithm_of(config, {Part::kHead}, "lm_head"), "");
    EXPECT_FALSE(config.expects_quantised(kQ, kQName));
  }
}

TEST(ModelOptRulesTest, MixedPrecisionNamesEachModule) {
  const QuantizationConfig config =
      parse({{"quant_algo", "MIXED_PRECISION"},
             {"quantized_layers",
              {{kQName, {{"quant_algo", "FP8"}}},
               {kUpName, {{"quant_algo", "NVFP4"}, {"group_size", 16}}},
               {"model.language_model.layers.0.mlp.gate_proj", {{"quant_algo", "NVFP4"}, {"group_size", 16}}},
               {"model.language_model.layers.1.mlp.*", {{"quant_algo", "w4a16_nvfp4"}}}}}});
  EXPECT_EQ(algorithm_of(config, kQ, kQName), "FP8");
  EXPECT_EQ(algorithm_of(config, kUp, kUpName), "NVFP4");
  EXPECT_EQ(algorithm_of(config, {Part::kUp, 1}, "model.language_model.layers.1.mlp.up_proj"), "W4A16_NVFP4");
  EXPECT_EQ(algorithm_of(config, {Part::kK, 0}, "model.language_model.layers.0.self_attn.k_proj"), "");
  EXPECT_EQ(config.schemes().size(), 3U);
}

json group_of(int bits, const json& group_size, const json& activations, const json& targets = {"Linear"}) {
  json group = {{"weights", {{"dynamic", false}, {"num_bits", bits}, {"type", "float"}}},
                {"targets", targets}};
  if (!group_size.is_null()) group["weights"]["group_size"] = group_size;
  if (!activations.is_null()) group["input_activations"] = activations;
  return group;
}

TEST(ModelOptRulesTest, GroupsCarryTheFields) {
  const json quantised = {{"dynamic", false}, {"num_bits", 4}, {"type", "float"}, {"group_size", 16}};
  const QuantizationConfig with =
      parse({{"quant_algo", "NVFP4"}, {"config_groups", {{"group_0", group_of(4, 16, quantised)}}}});
  ASSERT_NE(with.find_scheme(kUp, kUpName), nullptr);
  EXPECT_TRUE(with.find_scheme(kUp, kUpName)->has_static_activations);
  EXPECT_EQ(with.find_scheme(kUp, kUpName)->group, "group_0");

  const QuantizationConfig without =
      parse({{"quant_algo", "W4A16_NVFP4"}, {"config_groups", {{"group_0", group_of(4, 16, nullptr)}}}});
  EXPECT_FALSE(without.find_scheme(kUp, kUpName)->has_static_activations);

  // Fields that contradict the algorithm's name are kept: the tensors will tell.
  const QuantizationConfig odd =
      parse({{"quant_algo", "NVFP4"}, {"config_groups", {{"group_0", group_of(8, nullptr, nullptr)}}}});
  EXPECT_EQ(odd.find_scheme(kUp, kUpName)->bits, 8);
}

TEST(ModelOptRulesTest, GroupsOfMixedPrecisionAreKnownByTheirFields) {
  const json fp8 = {{"dynamic", false}, {"num_bits", 8}, {"type", "float"}};
  const QuantizationConfig config = parse({{"quant_algo", "MIXED_PRECISION"},
                                           {"config_groups",
                                            {{"group_0", group_of(8, nullptr, fp8, {kQName})},
                                             {"group_1", group_of(4, 16, nullptr, {kUpName})}}}});
  EXPECT_EQ(algorithm_of(config, kQ, kQName), "FP8");
  EXPECT_EQ(algorithm_of(config, kUp, kUpName), "W4A16_NVFP4");
  EXPECT_EQ(algorithm_of(config, {Part::kDown, 0}, "model.language_model.layers.0.mlp.down_proj"), "");

  const QuantizationConfig unknown = parse({{"config_groups", {{"group_0", group_of(4, 32, nullptr)}}}});
  EXPECT_FALSE(reads_modelopt_algorithm(algorithm_of(unknown, kUp, kUpName)));
}

TEST(ModelOptRulesTest, OnlyTheCacheMayBeQuantised) {
  const QuantizationConfig config = parse({{"quant_algo", nullptr}, {"kv_cache_quant_algo", "FP8"}});
  EXPECT_TRUE(config.schemes().empty());
  EXPECT_FALSE(config.expects_quantised(kUp, kUpName));
}

TEST(ModelOptRulesTest, MalformedFieldsAreNamed) {
  const std::vector<std::pair<json, std::string>> cases = {
      {json::object(), "quant_algo"},
      {{{"quant_algo", 4}}, "quant_algo"},
      {{{"quant_algo", "NVFP4"}, {"group_size", -1}}, "group_size"},
      {{{"quant_algo", "NVFP4"}, {"ignore", "lm_head"}}, "ignore"},
      {{{"quant_algo", "MIXED_PRECISION"}}, "quantized_layers"},
      {{{"quant_algo", "MIXED_PRECISION"}, {"quantized_layers", {1}}}, "quantized_layers"},
      {{{"quant_algo", "MIXED_PRECISION"}, {"quantized_layers", {{"a", json::object()}}}}, "a: quant_algo"},
      {{{"quant_algo", "FP8"}, {"config_groups", {{"group_0", json::object()}}}}, "group_0: weights"},
      {{{"quant_algo", "FP8"}, {"config_groups", {{"group_0", {{"weights", json::object()}}}}}}, "num_bits"},
      {{{"quant_algo", "FP8"}, {"config_groups", {{"group_0", group_of(8, nullptr, nullptr, "Linear")}}}},
       "targets"}};
  for (const auto& [section, field] : cases) {
    try {
      parse(section);
      ADD_FAILURE() << section << " is accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      EXPECT_THAT(error.message(), HasSubstr(field));
    }
  }
}

}  // namespace
}  // namespace beryl::checkpoint
