#include "checkpoint/quantization_config.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace beryl::checkpoint {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr Role kUpOf3 = {Part::kUp, 3, -1};
const std::string kUpOf3Name = "model.language_model.layers.3.mlp.up_proj";

// Groups by name, each with its targets; the name comes back as the scheme's.
json config_of(const std::map<std::string, std::vector<std::string>>& groups,
               std::vector<std::string> ignore = {}) {
  json section = {{"quant_method", "compressed-tensors"}, {"ignore", ignore}, {"format", "outer"}};
  for (const auto& [name, targets] : groups) {
    section["config_groups"][name] = {
        {"targets", targets}, {"weights", {{"type", "float"}, {"num_bits", 8}, {"strategy", "channel"}}}};
  }
  return {{"quantization_config", section}};
}

QuantizationConfig parse(const json& config) {
  return parse_quantization_config(config, "config.json");
}

// The group that a module falls into; empty for none.
std::string group_of(const json& config, const Role& role = kUpOf3, std::string_view module = kUpOf3Name) {
  const QuantizationConfig quantization = parse(config);
  const QuantizationScheme* scheme = quantization.find_scheme(role, module);
  return scheme == nullptr ? "" : scheme->group;
}

void expect_refused(const json& config, std::string_view part) {
  try {
    parse(config);
    ADD_FAILURE() << part << " is accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    EXPECT_THAT(error.message(), HasSubstr(part));
    EXPECT_LT(error.message().size(), 1'000U);
  }
}

TEST(QuantizationConfigTest, AbsentMeansNone) {
  EXPECT_FALSE(parse(json::object()).is_present());
  EXPECT_FALSE(parse({{"quantization_config", nullptr}}).is_present());
  EXPECT_EQ(parse(json::object()).find_scheme(kUpOf3, kUpOf3Name), nullptr);
}

TEST(QuantizationConfigTest, OlderPlacesAreRead) {
  const json section = {{"quant_method", "compressed-tensors"}};
  EXPECT_EQ(parse({{"compression_config", section}}).method(), "compressed-tensors");
  EXPECT_EQ(parse({{"text_config", {{"quantization_config", section}}}}).method(), "compressed-tensors");
}

TEST(QuantizationConfigTest, IgnoreBeatsTargets) {
  const std::map<std::string, std::vector<std::string>> groups = {{"a", {kUpOf3Name, "Linear"}}};
  EXPECT_EQ(group_of(config_of(groups)), "a");
  EXPECT_EQ(group_of(config_of(groups, {kUpOf3Name})), "");
  EXPECT_EQ(group_of(config_of(groups, {"re:.*up_proj"})), "");
  EXPECT_EQ(group_of(config_of(groups, {"Linear"})), "");
  EXPECT_EQ(group_of(config_of(groups, {"up_proj"})), "a");
}

// Names before expressions before classes, whatever the order of the groups.
TEST(QuantizationConfigTest, MorePreciseTargetsWin) {
  EXPECT_EQ(group_of(config_of({{"a", {"Linear"}}, {"b", {"re:.*up_proj"}}, {"c", {kUpOf3Name}}})), "c");
  EXPECT_EQ(group_of(config_of({{"c", {"Linear"}}, {"b", {"re:.*up_proj"}}, {"a", {"re:.*down_proj"}}})),
            "b");
  EXPECT_EQ(group_of(config_of({{"a", {"Embedding"}}, {"b", {"Linear"}}})), "b");
}

TEST(QuantizationConfigTest, ExpressionsGoByTheAlphabet) {
  EXPECT_EQ(group_of(config_of({{"a", {"re:.*up_proj"}}, {"b", {"re:.*mlp.*"}}})), "b");
  EXPECT_EQ(group_of(config_of({{"b", {"re:.*up_proj"}}, {"a", {"re:.*mlp.*"}}})), "a");
}

TEST(QuantizationConfigTest, ExpressionsMatchFromTheStartOnly) {
  EXPECT_EQ(group_of(config_of({{"a", {"re:mlp"}}})), "");
  EXPECT_EQ(group_of(config_of({{"a", {"re:model"}}})), "a");
  EXPECT_EQ(group_of(config_of({{"a", {"re:.*mlp$"}}})), "");
}

TEST(QuantizationConfigTest, FusedExpertsAreListedAsSingleOnes) {
  const json config = config_of({{"a", {"re:.*experts\\.\\d+\\.(gate|up|down)_proj$"}}});
  EXPECT_EQ(group_of(config, {Part::kFusedExpertsGateUp, 3, -1}, "model.layers.3.experts.gate_up_proj"), "a");
}

TEST(QuantizationConfigTest, RouterNormsAndEmbeddingsAreNeverExpectedQuantised) {
  const QuantizationConfig config = parse(config_of({{"a", {"Linear", "Embedding"}}}));
  EXPECT_FALSE(config.expects_quantised({Part::kRouterProjection, 0, -1}, "model.layers.0.router.proj"));
  EXPECT_FALSE(config.expects_quantised({Part::kEmbedding, -1, -1}, "model.embed_tokens"));
  EXPECT_FALSE(config.expects_quantised({Part::kInputNorm, 0, -1}, "model.layers.0.input_layernorm"));
  EXPECT_TRUE(config.expects_quantised(kUpOf3, kUpOf3Name));
}

TEST(QuantizationConfigTest, FieldsOfASchemeHaveDefaults) {
  json config = config_of({{"a", {"Linear"}}});
  json& group = config["quantization_config"]["config_groups"]["a"];
  group["weights"] = json::object();
  const QuantizationConfig bare = parse(config);
  EXPECT_EQ(bare.schemes()[0].strategy, "tensor");
  EXPECT_EQ(bare.schemes()[0].format, "outer");
  EXPECT_EQ(bare.schemes()[0].type, "int");
  group["weights"] = {{"group_size", -1}};
  EXPECT_EQ(parse(config).schemes()[0].strategy, "channel");
  group["weights"] = {{"group_size", 32}};
  group["format"] = "inner";
  EXPECT_EQ(parse(config).schemes()[0].strategy, "group");
  EXPECT_EQ(parse(config).schemes()[0].format, "inner");
  group["weights"] = nullptr;
  EXPECT_TRUE(parse(config).schemes().empty());
}

TEST(QuantizationConfigTest, MalformedEntriesAreNamed) {
  expect_refused({{"quantization_config", {{"bits", 4}}}}, "quant_method");
  expect_refused({{"quantization_config", 4}}, "quantization_config");
  expect_refused(config_of({{"a", {"re:("}}}), "re:(");
  expect_refused(config_of({{"a", {"re:" + std::string(5'000, 'x')}}}), "5003 bytes");
  expect_refused(config_of({{"a", {"re:((x{1000}){1000}){1000}"}}}), "cannot be understood");
  json shorthand = config_of({});
  shorthand["quantization_config"]["config_groups"] = {{"W8A8", json::array({"Linear"})}};
  expect_refused(shorthand, "W8A8");
  json targets = config_of({{"a", {}}});
  targets["quantization_config"]["config_groups"]["a"]["targets"] = "Linear";
  expect_refused(targets, "targets");
  json bits = config_of({{"a", {}}});
  bits["quantization_config"]["config_groups"]["a"]["weights"]["num_bits"] = 0;
  expect_refused(bits, "num_bits");
  json ignore = config_of({{"a", {}}});
  ignore["quantization_config"]["ignore"] = json::array({1});
  expect_refused(ignore, "ignore");
}

}  // namespace
}  // namespace beryl::checkpoint
