#include "checkpoint/dialects/auto_fp8.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "checkpoint/dialects/module_for_tests.h"
#include "checkpoint/dialects/module_reading.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kUp = "model.language_model.layers.0.mlp.up_proj";
constexpr ModuleShape kShape = {.rows = 64, .cols = 48};
const AutoFp8Dialect kDialect;

QuantizationConfig config_of(json section) {
  section["quant_method"] = "fp8";
  return parse_quantization_config({{"quantization_config", section}}, "config.json");
}

const QuantizationConfig kStatic = config_of({{"activation_scheme", "static"}});

ModuleForTests stored() {
  ModuleForTests module(kUp);
  module.put("weight", DType::kF8E4M3, {64, 48})
      .put("weight_scale", DType::kF32, {})
      .put("input_scale", DType::kF32, {});
  return module;
}

TEST(AutoFp8DialectTest, ReadsOneScalePerTensor) {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{}, std::vector<int64_t>{1}, std::vector<int64_t>{1, 1}}) {
    ModuleForTests tensors = stored();
    const Module module = tensors.put("weight_scale", DType::kF32, shape).module();
    ASSERT_TRUE(kDialect.recognises(module));
    const ModuleReading reading = kDialect.read(module, kShape, kStatic);
    ASSERT_THAT(reading.matrices, SizeIs(1));
    const formats::QuantMatrix& matrix = reading.matrices.front();
    EXPECT_EQ(matrix.rows, 64);
    EXPECT_EQ(matrix.cols, 48);
    EXPECT_EQ(matrix.format, formats::Format::kFp8E4m3);
    EXPECT_EQ(formats::scale_text(matrix), "per tensor");
    EXPECT_FALSE(matrix.may_have_negative_scales);
    EXPECT_EQ(matrix.codes.range.bytes, 64U * 48U);
    EXPECT_EQ(matrix.scales->values.range.bytes, 4U);
    EXPECT_EQ(matrix.scales->values.range.offset, module.find("weight_scale")->range.offset);
    EXPECT_THAT(reading.skipped, ElementsAre(std::pair(module.find("input_scale"), kActivationScaleUnused)));
    EXPECT_THAT(reading.notes, IsEmpty());
  }
}

TEST(AutoFp8DialectTest, ReadsOneScalePerRow) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{64}, std::vector<int64_t>{64, 1}}) {
    ModuleForTests tensors = stored();
    const Module module = tensors.put("weight_scale", DType::kBf16, shape).module();
    EXPECT_EQ(formats::scale_text(kDialect.read(module, kShape, kStatic).matrices.front()), "per row");
  }
}

TEST(AutoFp8DialectTest, MissingActivationScaleIsNoted) {
  ModuleForTests tensors = stored();
  const Module module = tensors.remove("input_scale").module();
  EXPECT_THAT(kDialect.read(module, kShape, kStatic).notes, ElementsAre(kNoActivationScale));
  EXPECT_THAT(kDialect.read(module, kShape, config_of({{"activation_scheme", "dynamic"}})).notes, IsEmpty());
  EXPECT_THAT(kDialect.read(module, kShape, config_of({})).notes, IsEmpty());
}

TEST(AutoFp8DialectTest, IgnoredLayersAreWholeNames) {
  const ModuleForTests tensors = stored();
  const Module module = tensors.module();
  EXPECT_THAT(kDialect.read(module, kShape, config_of({{"ignored_layers", {kUp}}})).notes,
              ElementsAre(kTensorsDecide));
  EXPECT_THAT(kDialect.read(module, kShape, config_of({{"ignored_layers", {"up_proj", "re:.*"}}})).notes,
              IsEmpty());
}

TEST(AutoFp8DialectTest, QuantisedRouterIsNoted) {
  ModuleForTests router("model.language_model.layers.0.router.proj");
  router.put("weight", DType::kF8E4M3, {64, 48}).put("weight_scale", DType::kF32, {});
  EXPECT_THAT(kDialect.read(router.module(), kShape, config_of({})).notes, ElementsAre(kRouterIsQuantised));
}

TEST(AutoFp8DialectTest, UnquantisedModulesMayBeMissingFromTheList) {
  EXPECT_FALSE(kStatic.expects_quantised({Part::kUp, 0}, kUp));
}

TEST(AutoFp8DialectTest, WhatIsMissingOrUnknownIsNamed) {
  ModuleForTests no_scale = stored();
  expect_module_refused(kDialect, no_scale.remove("weight_scale").module(), kShape, kStatic,
                        ErrorCode::kInvalidInput,
                        {"'" + kUp + "' has weight, input_scale but no weight_scale"});

  ModuleForTests no_weight = stored();
  ASSERT_TRUE(kDialect.recognises(no_weight.remove("weight").module()));
  expect_module_refused(kDialect, no_weight.module(), kShape, kStatic, ErrorCode::kInvalidInput,
                        {"but no weight"});

  ModuleForTests unknown = stored();
  expect_module_refused(kDialect, unknown.put("weight_scale_2", DType::kF32, {}).module(), kShape, kStatic,
                        ErrorCode::kInvalidInput, {"unknown tensor '" + kUp + ".weight_scale_2'"});
}

TEST(AutoFp8DialectTest, OtherShapesAndTypesAreRefused) {
  ModuleForTests weight = stored();
  expect_module_refused(kDialect, weight.put("weight", DType::kF8E4M3, {48, 64}).module(), kShape, kStatic,
                        ErrorCode::kInvalidInput, {kUp + ".weight' has shape [48,64]", "[64,48]"});

  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{48}, std::vector<int64_t>{1, 64}, std::vector<int64_t>{2, 2}}) {
    ModuleForTests scale = stored();
    expect_module_refused(kDialect, scale.put("weight_scale", DType::kF32, shape).module(), kShape, kStatic,
                          ErrorCode::kInvalidInput, {"weight_scale' has shape", "[64] or [64,1]"});
  }

  ModuleForTests type = stored();
  expect_module_refused(kDialect, type.put("weight_scale", DType::kU8, {64, 1}).module(), kShape, kStatic,
                        ErrorCode::kUnsupported, {"weight_scale' has type U8"});

  ModuleForTests norm("model.language_model.layers.0.input_layernorm");
  norm.put("weight", DType::kF8E4M3, {64}).put("weight_scale", DType::kF32, {});
  expect_module_refused(kDialect, norm.module(), {.rows = 64, .cols = 1, .is_vector = true}, kStatic,
                        ErrorCode::kUnsupported, {"input_layernorm' is stored as F8_E4M3"});
}

TEST(AutoFp8DialectTest, ConfigurationMustAgree) {
  const ModuleForTests tensors = stored();
  expect_module_refused(kDialect, tensors.module(), kShape, QuantizationConfig(), ErrorCode::kInvalidInput,
                        {"'" + kUp + "' is stored as FP8, but config.json has no quantization_config"});

  const QuantizationConfig blocks = config_of({{"weight_block_size", {32, 32}}});
  expect_module_refused(kDialect, tensors.module(), kShape, blocks, ErrorCode::kInvalidInput,
                        {"'" + kUp + "'", "quantization_config has weight_block_size"});
  ModuleForTests no_scale = stored();
  expect_module_refused(kDialect, no_scale.remove("weight_scale").module(), kShape, blocks,
                        ErrorCode::kInvalidInput, {"but no weight_scale_inv"});
}

TEST(AutoFp8DialectTest, MalformedConfigurationIsRefused) {
  for (const json& section : {json{{"activation_scheme", "sometimes"}}, json{{"activation_scheme", 3}},
                              json{{"ignored_layers", "lm_head"}}, json{{"ignored_layers", {1}}}}) {
    EXPECT_THROW(config_of(section), Error) << section;
  }
}

TEST(AutoFp8DialectTest, ClaimsNothingOfItsNeighbours) {
  ModuleForTests plain(kUp);
  EXPECT_FALSE(kDialect.recognises(plain.put("weight", DType::kBf16, {64, 48}).module()));
  ModuleForTests nvfp4(kUp);
  EXPECT_FALSE(kDialect.recognises(
      nvfp4.put("weight", DType::kU8, {64, 24}).put("weight_scale", DType::kF8E4M3, {64, 3}).module()));
  ModuleForTests fused("model.language_model.layers.0.experts.down_proj");
  EXPECT_FALSE(kDialect.recognises(
      fused.put("", DType::kF8E4M3, {4, 48, 64}).put("scale", DType::kBf16, {4, 48}).module()));
}

}  // namespace
}  // namespace beryl::checkpoint
