#include "checkpoint/dialects/modelopt.h"

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
constexpr ModuleShape kShape = {.rows = 160, .cols = 208};
const ModelOptDialect kDialect;

QuantizationConfig config_of(json section) {
  section["quant_method"] = "modelopt";
  return parse_quantization_config({{"quantization_config", section}}, "config.json");
}

QuantizationConfig algorithm(const std::string& name) {
  return config_of({{"quant_algo", name}});
}

ModuleForTests nvfp4() {
  ModuleForTests module(kUp);
  module.put("weight", DType::kU8, {160, 104})
      .put("weight_scale", DType::kF8E4M3, {160, 13})
      .put("weight_scale_2", DType::kF32, {})
      .put("input_scale", DType::kF32, {});
  return module;
}

ModuleForTests fp8(std::vector<int64_t> scale_shape) {
  ModuleForTests module(kUp);
  module.put("weight", DType::kF8E4M3, {160, 208})
      .put("weight_scale", DType::kF32, std::move(scale_shape))
      .put("input_scale", DType::kF32, {});
  return module;
}

TEST(ModelOptDialectTest, OwnsBothMethods) {
  EXPECT_TRUE(kDialect.owns_method("modelopt"));
  EXPECT_TRUE(kDialect.owns_method("modelopt_fp4"));
}

TEST(ModelOptDialectTest, ReadsNvFp4) {
  const ModuleForTests tensors = nvfp4();
  const Module module = tensors.module();
  ASSERT_TRUE(kDialect.recognises(module));
  const ModuleReading reading = kDialect.read(module, kShape, algorithm("NVFP4"));
  ASSERT_THAT(reading.matrices, SizeIs(1));
  const formats::QuantMatrix& matrix = reading.matrices.front();
  EXPECT_EQ(matrix.rows, 160);
  EXPECT_EQ(matrix.cols, 208);
  EXPECT_EQ(matrix.format, formats::Format::kNvFp4);
  EXPECT_EQ(formats::scale_text(matrix), "per group of 16");
  EXPECT_FALSE(matrix.global_scale_divides);
  EXPECT_EQ(matrix.global_scale->range.offset, module.find("weight_scale_2")->range.offset);
  EXPECT_THAT(reading.skipped, ElementsAre(std::pair(module.find("input_scale"), kActivationScaleUnused)));
  EXPECT_THAT(reading.notes, IsEmpty());
}

TEST(ModelOptDialectTest, MissingActivationScaleIsNotedWhereItIsCalledFor) {
  ModuleForTests tensors = nvfp4();
  const Module module = tensors.remove("input_scale").module();
  EXPECT_THAT(kDialect.read(module, kShape, algorithm("NVFP4")).notes, ElementsAre(kNoActivationScale));
  EXPECT_THAT(kDialect.read(module, kShape, algorithm("W4A16_NVFP4")).notes, IsEmpty());
}

TEST(ModelOptDialectTest, ReadsFp8ByTheShapeOfItsScale) {
  struct Case {
    const char* algorithm;
    std::vector<int64_t> shape;
    const char* text;
  };
  for (const Case& one :
       {Case{"FP8", {}, "per tensor"}, Case{"FP8", {1}, "per tensor"}, Case{"FP8_PC_PT", {160}, "per row"},
        Case{"FP8_PC_PT", {160, 1}, "per row"}, Case{"FP8_PER_CHANNEL_PER_TOKEN", {160}, "per row"},
        Case{"fp8_pb_wo", {2, 1, 2, 1}, "per 128x128 block"},
        Case{"FP8_PB_WO", {2, 2}, "per 128x128 block"}}) {
    const ModuleForTests tensors = fp8(one.shape);
    const Module module = tensors.module();
    ASSERT_TRUE(kDialect.recognises(module));
    const ModuleReading reading = kDialect.read(module, kShape, algorithm(one.algorithm));
    ASSERT_THAT(reading.matrices, SizeIs(1));
    EXPECT_EQ(reading.matrices.front().format, formats::Format::kFp8E4m3);
    EXPECT_EQ(formats::scale_text(reading.matrices.front()), one.text) << one.algorithm;
    EXPECT_THAT(reading.notes, IsEmpty());
  }
}

TEST(ModelOptDialectTest, OneBlockMayHaveAScaleWithoutDimensions) {
  ModuleForTests tensors(kUp);
  tensors.put("weight", DType::kF8E4M3, {96, 128}).put("weight_scale", DType::kF32, {});
  const ModuleShape one_block = {.rows = 96, .cols = 128};
  EXPECT_THAT(kDialect.read(tensors.module(), one_block, algorithm("fp8_pb_wo")).matrices, SizeIs(1));

  const ModuleForTests more = fp8({});
  expect_module_refused(kDialect, more.module(), kShape, algorithm("fp8_pb_wo"), ErrorCode::kInvalidInput,
                        {"'" + kUp + "' is stored as FP8 with one scale", "FP8_PB_WO"});
}

TEST(ModelOptDialectTest, ConfigurationMustAgree) {
  const ModuleForTests four = nvfp4();
  const ModuleForTests eight = fp8({});
  const ModuleForTests rows = fp8({160});
  expect_module_refused(kDialect, four.module(), kShape, algorithm("FP8"), ErrorCode::kInvalidInput,
                        {"'" + kUp + "' is stored as NVFP4, but quantization_config says FP8"});
  expect_module_refused(kDialect, eight.module(), kShape, algorithm("NVFP4"), ErrorCode::kInvalidInput,
                        {"is stored as FP8 with one scale", "says NVFP4 (float with 4 bits, groups of 16)"});
  expect_module_refused(kDialect, rows.module(), kShape, algorithm("FP8"), ErrorCode::kInvalidInput,
                        {"FP8 with a scale per row"});
  expect_module_refused(kDialect, eight.module(), kShape, algorithm("FP8_PC_PT"), ErrorCode::kInvalidInput,
                        {"FP8 with one scale", "FP8_PC_PT"});
  expect_module_refused(kDialect, four.module(), kShape,
                        config_of({{"quant_algo", "NVFP4"}, {"group_size", 32}}), ErrorCode::kInvalidInput,
                        {"groups of 32"});
  for (const Module& module : {four.module(), eight.module()}) {
    expect_module_refused(kDialect, module, kShape, QuantizationConfig(), ErrorCode::kInvalidInput,
                          {"neither config.json nor hf_quant_config.json"});
  }
}

TEST(ModelOptDialectTest, ExcludedModuleThatIsQuantisedIsNoted) {
  const ModuleForTests tensors = nvfp4();
  const QuantizationConfig excluded = config_of({{"quant_algo", "NVFP4"}, {"ignore", {"*layers.0.mlp*"}}});
  const ModuleReading reading = kDialect.read(tensors.module(), kShape, excluded);
  EXPECT_THAT(reading.matrices, SizeIs(1));
  EXPECT_THAT(reading.notes, ElementsAre(kTensorsDecide));
}

TEST(ModelOptDialectTest, WhatIsMissingOrUnknownIsNamed) {
  for (const char* suffix : {"weight_scale", "weight_scale_2"}) {
    ModuleForTests tensors = nvfp4();
    ASSERT_TRUE(kDialect.recognises(tensors.remove(suffix).module())) << suffix;
    expect_module_refused(kDialect, tensors.module(), kShape, algorithm("NVFP4"), ErrorCode::kInvalidInput,
                          {"'" + kUp + "' has weight, ", "but no " + std::string(suffix), "never guessed"});
  }
  ModuleForTests no_weight = fp8({});
  ASSERT_TRUE(kDialect.recognises(no_weight.remove("weight").module()));
  expect_module_refused(kDialect, no_weight.module(), kShape, algorithm("FP8"), ErrorCode::kInvalidInput,
                        {"but no weight"});
  ModuleForTests no_scale = fp8({});
  expect_module_refused(kDialect, no_scale.remove("weight_scale").module(), kShape, algorithm("FP8"),
                        ErrorCode::kInvalidInput, {"but no weight_scale"});
  ModuleForTests unknown = nvfp4();
  expect_module_refused(kDialect, unknown.put("bias", DType::kF32, {160}).module(), kShape,
                        algorithm("NVFP4"), ErrorCode::kInvalidInput, {"unknown tensor '" + kUp + ".bias'"});
  ModuleForTests second = fp8({});
  expect_module_refused(kDialect, second.put("weight_scale_2", DType::kF32, {}).module(), kShape,
                        algorithm("FP8"), ErrorCode::kInvalidInput, {"unknown tensor"});
}

struct Damage {
  const char* suffix;
  DType dtype;
  std::vector<int64_t> shape;
  ErrorCode code;
};

TEST(ModelOptDialectTest, OtherShapesAndTypesAreRefused) {
  for (const Damage& one : {Damage{"weight", DType::kU8, {160, 208}, ErrorCode::kInvalidInput},
                            Damage{"weight", DType::kU8, {80, 208}, ErrorCode::kInvalidInput},
                            Damage{"weight_scale", DType::kF8E4M3, {160, 26}, ErrorCode::kInvalidInput},
                            Damage{"weight_scale", DType::kU8, {160, 13}, ErrorCode::kUnsupported},
                            Damage{"weight_scale_2", DType::kF32, {160}, ErrorCode::kInvalidInput},
                            Damage{"weight_scale_2", DType::kBf16, {}, ErrorCode::kUnsupported}}) {
    ModuleForTests tensors = nvfp4();
    tensors.put(one.suffix, one.dtype, one.shape);
    expect_module_refused(kDialect, tensors.module(), kShape, algorithm("NVFP4"), one.code,
                          {kUp + "." + one.suffix + "'"});
  }
  for (const Damage& one : {Damage{"weight", DType::kF8E4M3, {208, 160}, ErrorCode::kInvalidInput},
                            Damage{"weight", DType::kI8, {160, 208}, ErrorCode::kUnsupported},
                            Damage{"weight_scale", DType::kF32, {208}, ErrorCode::kInvalidInput},
                            Damage{"weight_scale", DType::kF32, {2, 1, 1, 1}, ErrorCode::kInvalidInput},
                            Damage{"weight_scale", DType::kU8, {160, 7}, ErrorCode::kUnsupported}}) {
    ModuleForTests tensors = fp8({});
    tensors.put(one.suffix, one.dtype, one.shape);
    expect_module_refused(kDialect, tensors.module(), kShape, algorithm("FP8"), one.code,
                          {kUp + "." + one.suffix + "'"});
  }
  ModuleForTests norm("model.language_model.layers.0.input_layernorm");
  norm.put("weight", DType::kF8E4M3, {64}).put("weight_scale", DType::kF32, {});
  expect_module_refused(kDialect, norm.module(), {.rows = 64, .cols = 1, .is_vector = true}, algorithm("FP8"),
                        ErrorCode::kUnsupported, {"input_layernorm' is stored as F8_E4M3"});
}

TEST(ModelOptDialectTest, UnsupportedAlgorithmsAreNamed) {
  const ModuleForTests tensors = nvfp4();
  for (const char* name :
       {"NVFP4_AWQ", "NVFP4_SVD", "W4A8_AWQ", "W4A8_NVFP4_FP8", "MXFP4", "MXFP8", "NEW_ONE"}) {
    const QuantizationConfig config = algorithm(name);
    ASSERT_THAT(config.schemes(), SizeIs(1));
    EXPECT_FALSE(kDialect.reads(config.schemes().front())) << name;
    expect_module_refused(kDialect, tensors.module(), kShape, config, ErrorCode::kUnsupported,
                          {"'" + kUp + "'", name, "supported: "});
  }
  ModuleForTests scaled = nvfp4();
  scaled.put("pre_quant_scale", DType::kBf16, {208});
  ASSERT_TRUE(kDialect.recognises(scaled.module()));
  expect_module_refused(kDialect, scaled.module(), kShape, algorithm("NVFP4"), ErrorCode::kUnsupported,
                        {"AWQ"});
}

TEST(ModelOptDialectTest, ClaimsNothingOfItsNeighbours) {
  ModuleForTests plain(kUp);
  EXPECT_FALSE(kDialect.recognises(plain.put("weight", DType::kBf16, {160, 208}).module()));
  ModuleForTests packed(kUp);
  EXPECT_FALSE(kDialect.recognises(packed.put("weight_packed", DType::kU8, {160, 104})
                                       .put("weight_scale", DType::kF8E4M3, {160, 13})
                                       .put("weight_global_scale", DType::kF32, {1})
                                       .module()));
  ModuleForTests nf4(kUp);
  EXPECT_FALSE(kDialect.recognises(
      nf4.put("weight", DType::kU8, {16640, 1}).put("weight.absmax", DType::kF32, {520}).module()));
  ModuleForTests mlx(kUp);
  EXPECT_FALSE(kDialect.recognises(
      mlx.put("weight", DType::kU32, {160, 26}).put("scales", DType::kBf16, {160, 4}).module()));
  ModuleForTests fused("model.language_model.layers.0.experts.down_proj");
  EXPECT_FALSE(kDialect.recognises(
      fused.put("", DType::kF8E4M3, {4, 48, 64}).put("weight_scale", DType::kBf16, {4, 48}).module()));
}

}  // namespace
}  // namespace beryl::checkpoint
