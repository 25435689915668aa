#include "checkpoint/dialects/auto_round.h"

#include <fmt/format.h>

#include "checkpoint/dialects/module_for_tests.h"
#include "checkpoint/dialects/quantization_for_tests.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using ::testing::ElementsAre;

const AutoRoundDialect kAutoRound;
const std::string kName = "model.language_model.layers.0.self_attn.q_proj";
// 96 inputs in groups of 64: the last one is half full.
constexpr ModuleShape kShape = {.rows = 128, .cols = 96};

std::string config(std::string_view packing = "auto_round:auto_gptq", std::string_view more = "") {
  return fmt::format(R"({{"quant_method": "auto-round", "bits": 4, "group_size": 64, "sym": true,
                          "data_type": "int", "packing_format": "{}"{}}})",
                     packing, more);
}

ModuleForTests make_module() {
  ModuleForTests module(kName);
  module.put("qweight", DType::kI32, {12, 128})
      .put("qzeros", DType::kI32, {2, 16})
      .put("scales", DType::kF16, {2, 128});
  return module;
}

formats::QuantMatrix read(const ModuleForTests& module, std::string_view section) {
  return kAutoRound.read(module.module(), kShape, quantization_of(section)).matrices.at(0);
}

void expect_refused(const ModuleForTests& module, ErrorCode code, const std::vector<std::string>& parts,
                    std::string_view section) {
  expect_error(code, parts, [&] { read(module, section); });
}

TEST(AutoRoundTest, PackingSaysWhatZeroPointsMean) {
  for (const auto& [packing, added] : {std::pair("auto_round:auto_gptq", 1), std::pair("auto_round", 0),
                                       std::pair("auto_round:gptqmodel", 0)}) {
    const formats::QuantMatrix matrix = read(make_module(), config(packing));
    EXPECT_EQ(matrix.code_order, formats::CodeOrder::kInputWords);
    EXPECT_EQ(matrix.zeros->added, added) << packing;
    EXPECT_EQ(matrix.scales->tile_cols, 64);
    EXPECT_TRUE(matrix.may_have_negative_scales);
    EXPECT_TRUE(kAutoRound.reads(quantization_of(config(packing)).schemes()[0]));
  }
}

TEST(AutoRoundTest, AGroupMayBeLongerThanARow) {
  ModuleForTests module = make_module();
  module.put("qzeros", DType::kI32, {1, 16}).put("scales", DType::kF16, {1, 128});
  std::string section = config();
  section.replace(section.find("64"), 2, "128");
  EXPECT_EQ(read(module, section).scales->tile_cols, 128);
}

TEST(AutoRoundTest, ReadsTheOtherNameAndAwqPacking) {
  ModuleForTests module = make_module();
  module.put("qweight", DType::kI32, {96, 16});
  std::string section = config("auto_round:auto_awq");
  section.replace(section.find("auto-round"), 10, "intel/auto-round");
  EXPECT_EQ(read(module, section).code_order, formats::CodeOrder::kOutputWords);
  expect_refused(module, ErrorCode::kInvalidInput, {"AWQ's words of eight outputs", "auto_round:auto_gptq"},
                 config());
  expect_refused(make_module(), ErrorCode::kInvalidInput, {"GPTQ's words", "auto_round:auto_awq"},
                 config("auto_round:auto_awq"));
}

TEST(AutoRoundTest, TheRouterMayBeQuantised) {
  ModuleForTests router("model.language_model.layers.0.router.proj");
  router.put("qweight", DType::kI32, {12, 8})
      .put("qzeros", DType::kI32, {2, 1})
      .put("scales", DType::kF16, {2, 8});
  const ModuleReading reading =
      kAutoRound.read(router.module(), {.rows = 8, .cols = 96}, quantization_of(config()));
  EXPECT_EQ(reading.matrices.at(0).rows, 8);
  EXPECT_THAT(reading.notes, ElementsAre(kRouterIsQuantised));
}

TEST(AutoRoundTest, ExtraConfigHoldsWhatDiffers) {
  ModuleForTests eight = make_module();
  eight.put("qweight", DType::kI32, {24, 128}).put("qzeros", DType::kI32, {2, 32});
  const std::string by_name =
      config("auto_round:auto_gptq",
             R"(, "extra_config": {"model.language_model.layers.0.self_attn.q_proj": {"bits": 8}})");
  const std::string by_expression =
      config("auto_round:auto_gptq", R"(, "extra_config": {".*layers\\.0.*q_proj": {"bits": 8}})");
  EXPECT_EQ(read(eight, by_name).format, formats::Format::kInt8);
  EXPECT_EQ(read(eight, by_expression).format, formats::Format::kInt8);
  // An expression is for the whole name.
  const std::string part =
      config("auto_round:auto_gptq", R"(, "extra_config": {".*layers\\.0": {"bits": 8}})");
  expect_refused(eight, ErrorCode::kInvalidInput, {"integers of 8 bits", "says 4 bits"}, part);
}

TEST(AutoRoundTest, SixteenBitsAreNotQuantised) {
  const std::string section =
      config("auto_round:auto_gptq", R"(, "extra_config": {".*q_proj": {"bits": 16, "data_type": "fp"}})");
  const QuantizationConfig quantization = quantization_of(section);
  const ModuleForTests module = make_module();
  EXPECT_EQ(quantization.find_scheme({Part::kQ, 0}, kName), nullptr);
  EXPECT_THAT(kAutoRound.read(module.module(), kShape, quantization).notes, ElementsAre(kTensorsDecide));
}

TEST(AutoRoundTest, WhatIsNotSupportedIsNamed) {
  ModuleForTests packed(kName);
  packed.put("weight_packed", DType::kI32, {128, 12}).put("weight_scale", DType::kBf16, {128, 2});
  ASSERT_TRUE(kAutoRound.recognises(packed.module()));
  expect_refused(packed, ErrorCode::kUnsupported, {"packing_format 'auto_round:llm_compressor'"},
                 config("auto_round:llm_compressor"));
  expect_refused(make_module(), ErrorCode::kUnsupported, {"packing_format ''"}, config(""));
  std::string section = config();
  section.replace(section.find("\"int\""), 5, "\"mx_fp\"");
  expect_refused(make_module(), ErrorCode::kUnsupported, {"data_type 'mx_fp'"}, section);
  EXPECT_FALSE(kAutoRound.reads(quantization_of(section).schemes()[0]));
  EXPECT_FALSE(kAutoRound.reads({.format = "auto_round:auto_awq", .type = "int", .bits = 8}));
}

TEST(AutoRoundTest, TheTailGroupMustBeThere) {
  ModuleForTests module = make_module();
  module.put("scales", DType::kF16, {1, 128}).put("qzeros", DType::kI32, {1, 16});
  expect_refused(module, ErrorCode::kInvalidInput, {"1 groups of 96 inputs", "group_size 64, which makes 2"},
                 config());
}

TEST(AutoRoundTest, MalformedSectionsAreRefused) {
  expect_error(ErrorCode::kInvalidInput, {"extra_config", "expected an object"},
               [] { quantization_of(config("auto_round", R"(, "extra_config": {"a": 8})")); });
  expect_error(ErrorCode::kInvalidInput, {"cannot be understood"},
               [] { quantization_of(config("auto_round", R"(, "extra_config": {"*": {}})")); });
}

}  // namespace
}  // namespace beryl::checkpoint
