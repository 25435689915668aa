#include "checkpoint/dialects/fine_grained_fp8.h"

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
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kUp = "model.language_model.layers.0.mlp.up_proj";
const std::string kGateUp = "model.language_model.layers.0.experts.gate_up_proj";
const FineGrainedFp8Dialect kDialect;

// Half-full last blocks both ways.
constexpr ModuleShape kShape = {.rows = 160, .cols = 200};
constexpr ModuleShape kExperts = {.experts = 4, .rows = 192, .cols = 256};

QuantizationConfig config_of(json section) {
  section["quant_method"] = "fp8";
  return parse_quantization_config({{"quantization_config", section}}, "config.json");
}

const QuantizationConfig kBlocks = config_of({{"weight_block_size", {128, 64}}});
const QuantizationConfig kSquares = config_of({{"weight_block_size", {128, 128}}});

ModuleForTests stored(const std::string& scale = "weight_scale_inv") {
  ModuleForTests module(kUp);
  module.put("weight", DType::kF8E4M3, {160, 200}).put(scale, DType::kF32, {2, 4});
  return module;
}

ModuleForTests fused() {
  ModuleForTests module(kGateUp);
  module.put("", DType::kF8E4M3, {4, 192, 256}).put("scale_inv", DType::kF32, {4, 2, 2});
  return module;
}

TEST(FineGrainedFp8DialectTest, ReadsBothNamesOfTheScale) {
  for (const char* suffix : {"weight_scale_inv", "scale"}) {
    const ModuleForTests tensors = stored(suffix);
    const Module module = tensors.module();
    ASSERT_TRUE(kDialect.recognises(module));
    const ModuleReading reading = kDialect.read(module, kShape, kBlocks);
    ASSERT_THAT(reading.matrices, SizeIs(1));
    const formats::QuantMatrix& matrix = reading.matrices.front();
    EXPECT_EQ(matrix.rows, 160);
    EXPECT_EQ(matrix.cols, 200);
    EXPECT_EQ(formats::scale_text(matrix), "per 128x64 block");
    EXPECT_EQ(matrix.scales->values.range.offset, module.find(suffix)->range.offset);
    EXPECT_EQ(matrix.scales->values.count(), 8);
    EXPECT_THAT(reading.skipped, IsEmpty());
    EXPECT_THAT(reading.notes, IsEmpty());
  }
}

TEST(FineGrainedFp8DialectTest, ReadsAllExpertsOfOneTensor) {
  const ModuleForTests tensors = fused();
  const Module module = tensors.module();
  ASSERT_TRUE(kDialect.recognises(module));
  const ModuleReading reading = kDialect.read(module, kExperts, kSquares);
  ASSERT_THAT(reading.matrices, SizeIs(4));
  const formats::QuantMatrix& third = reading.matrices[2];
  EXPECT_EQ(third.codes.range.offset, module.find("")->range.offset + 2 * 192 * 256);
  EXPECT_EQ(third.codes.range.bytes, 192U * 256U);
  EXPECT_EQ(third.scales->values.range.offset,
            module.find("scale_inv")->range.offset + 2 * 4 * sizeof(float));
  EXPECT_EQ(third.scales->values.count(), 4);
}

// 96 rows of gate and 96 of up: the first block has all of gate and 32 rows of up.
TEST(FineGrainedFp8DialectTest, BlocksMayBelongToGateAndUp) {
  const ModuleForTests tensors = fused();
  const ModuleReading reading = kDialect.read(tensors.module(), kExperts, kSquares);
  const auto [gate, up] = formats::split_rows(reading.matrices[1]);
  EXPECT_EQ(gate.rows, 96);
  EXPECT_EQ(gate.scales->first_row, 0);
  EXPECT_EQ(up.scales->first_row, 96);
  EXPECT_EQ(up.scales->tile_rows, 128);
  EXPECT_EQ(up.scales->values.range.offset, gate.scales->values.range.offset);
}

TEST(FineGrainedFp8DialectTest, UnquantisedWeightBesideAScaleIsPlain) {
  for (const char* suffix : {"weight_scale_inv", "scale"}) {
    ModuleForTests tensors = stored(suffix);
    const Module module = tensors.put("weight", DType::kBf16, {160, 200}).module();
    ASSERT_TRUE(kDialect.recognises(module));
    const ModuleReading reading = kDialect.read(module, kShape, kBlocks);
    ASSERT_THAT(reading.matrices, SizeIs(1));
    EXPECT_EQ(reading.matrices.front().format, formats::Format::kBf16);
    EXPECT_FALSE(reading.matrices.front().scales.has_value());
    ASSERT_THAT(reading.skipped, SizeIs(1));
    EXPECT_EQ(reading.skipped.front().first, module.find(suffix));
    EXPECT_THAT(reading.notes, ElementsAre(HasSubstr("not quantised, though it has scales")));
  }
  ModuleForTests experts = fused();
  experts.put("", DType::kBf16, {4, 192, 256});
  EXPECT_THAT(kDialect.read(experts.module(), kExperts, kSquares).matrices, SizeIs(4));
}

TEST(FineGrainedFp8DialectTest, ScaleOfANormIsUnknown) {
  ModuleForTests norm("model.language_model.layers.0.input_layernorm");
  norm.put("weight", DType::kBf16, {160}).put("scale", DType::kF32, {2});
  expect_module_refused(kDialect, norm.module(), {.rows = 160, .cols = 1, .is_vector = true}, kBlocks,
                        ErrorCode::kInvalidInput, {"unknown tensor", "input_layernorm.scale"});
}

TEST(FineGrainedFp8DialectTest, SkipListDoesNotDecide) {
  const ModuleForTests tensors = stored();
  for (const char* name : {"up_proj", "mlp.up_proj", kUp.c_str()}) {
    const QuantizationConfig listed =
        config_of({{"weight_block_size", {128, 64}}, {"modules_to_not_convert", {name}}});
    EXPECT_THAT(kDialect.read(tensors.module(), kShape, listed).notes, ElementsAre(kTensorsDecide));
  }
  // Neither a part of a word nor of the middle of a name counts.
  for (const char* name : {"proj", "mlp", "layers.0"}) {
    const QuantizationConfig listed =
        config_of({{"weight_block_size", {128, 64}}, {"modules_to_not_convert", {name}}});
    EXPECT_THAT(kDialect.read(tensors.module(), kShape, listed).notes, IsEmpty()) << name;
  }
  EXPECT_FALSE(kBlocks.expects_quantised({Part::kUp, 0}, kUp));
}

TEST(FineGrainedFp8DialectTest, ActivationScalesAreNotNeeded) {
  ModuleForTests tensors = stored();
  const QuantizationConfig fixed =
      config_of({{"weight_block_size", {128, 64}}, {"activation_scheme", "static"}});
  EXPECT_THAT(kDialect.read(tensors.module(), kShape, fixed).notes, ElementsAre(kNoActivationScale));
  const Module module = tensors.put("activation_scale", DType::kF32, {}).module();
  const ModuleReading reading = kDialect.read(module, kShape, fixed);
  EXPECT_THAT(reading.notes, IsEmpty());
  EXPECT_THAT(reading.skipped,
              ElementsAre(std::pair(module.find("activation_scale"), kActivationScaleUnused)));
}

TEST(FineGrainedFp8DialectTest, ScaleMustHaveTheConfiguredBlocks) {
  const ModuleForTests tensors = stored();
  expect_module_refused(kDialect, tensors.module(), kShape, kSquares, ErrorCode::kInvalidInput,
                        {"weight_block_size [128,128]", kUp + ".weight_scale_inv' has shape [2,4]", "[2,2]"});

  ModuleForTests experts = fused();
  expect_module_refused(kDialect, experts.put("scale_inv", DType::kF32, {4, 3, 2}).module(), kExperts,
                        kSquares, ErrorCode::kInvalidInput,
                        {kGateUp + "_scale_inv' has shape [4,3,2]", "[4,2,2]"});

  ModuleForTests type = stored();
  expect_module_refused(kDialect, type.put("weight_scale_inv", DType::kF8E8M0, {2, 4}).module(), kShape,
                        kBlocks, ErrorCode::kUnsupported, {"has type F8_E8M0"});
}

TEST(FineGrainedFp8DialectTest, WhatIsMissingOrUnknownIsNamed) {
  ModuleForTests no_weight = stored();
  ASSERT_TRUE(kDialect.recognises(no_weight.remove("weight").module()));
  expect_module_refused(kDialect, no_weight.module(), kShape, kBlocks, ErrorCode::kInvalidInput,
                        {"'" + kUp + "' has weight_scale_inv but no weight"});

  ModuleForTests no_scale = fused();
  ASSERT_TRUE(kDialect.recognises(no_scale.remove("scale_inv").module()));
  expect_module_refused(kDialect, no_scale.module(), kExperts, kSquares, ErrorCode::kInvalidInput,
                        {"'" + kGateUp + "' has (no suffix) but no scale_inv", "never guessed"});

  ModuleForTests both = stored();
  expect_module_refused(kDialect, both.put("scale", DType::kF32, {2, 4}).module(), kShape, kBlocks,
                        ErrorCode::kInvalidInput, {"unknown tensor '" + kUp + ".scale'"});

  ModuleForTests shape = stored();
  expect_module_refused(kDialect, shape.put("weight", DType::kF8E4M3, {160, 192}).module(), kShape, kBlocks,
                        ErrorCode::kInvalidInput, {"[160,192]", "[160,200]"});

  ModuleForTests type = stored();
  expect_module_refused(kDialect, type.put("weight", DType::kI8, {160, 200}).module(), kShape, kBlocks,
                        ErrorCode::kUnsupported, {"has type I8"});
}

TEST(FineGrainedFp8DialectTest, ConfigurationMustAgree) {
  const ModuleForTests tensors = stored();
  expect_module_refused(kDialect, tensors.module(), kShape, config_of({}), ErrorCode::kInvalidInput,
                        {"'" + kUp + "' is stored as FP8 with scales per block", "no weight_block_size"});
  expect_module_refused(kDialect, tensors.module(), kShape, QuantizationConfig(), ErrorCode::kInvalidInput,
                        {"config.json has no quantization_config"});
}

TEST(FineGrainedFp8DialectTest, MalformedBlockSizesAreRefused) {
  for (const json& size : {json(128), json("128x128"), json::array(), json{128}, json{128, 128, 128},
                           json{128, 0}, json{-1, 128}, json{128, 1.5}, json{128, 1 << 21}}) {
    EXPECT_THROW(config_of({{"weight_block_size", size}}), Error) << size;
  }
}

TEST(FineGrainedFp8DialectTest, ClaimsNothingOfItsNeighbours) {
  ModuleForTests plain(kUp);
  EXPECT_FALSE(kDialect.recognises(plain.put("weight", DType::kBf16, {160, 200}).module()));
  // A weight of its own, whatever it is called.
  ModuleForTests router("model.language_model.layers.0.router.scale");
  EXPECT_FALSE(kDialect.recognises(router.put("", DType::kBf16, {96}).module()));
  ModuleForTests auto_fp8(kUp);
  EXPECT_FALSE(kDialect.recognises(
      auto_fp8.put("weight", DType::kF8E4M3, {160, 200}).put("weight_scale", DType::kF32, {}).module()));
  ModuleForTests rows(kGateUp);
  EXPECT_FALSE(kDialect.recognises(
      rows.put("", DType::kF8E4M3, {4, 192, 256}).put("scale", DType::kBf16, {4, 192}).module()));
}

}  // namespace
}  // namespace beryl::checkpoint
