#include "checkpoint/dialects/awq.h"

#include "checkpoint/dialects/module_for_tests.h"
#include "checkpoint/dialects/quantization_for_tests.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const AwqDialect kAwq;
const std::string kName = "model.language_model.layers.0.self_attn.q_proj";
constexpr ModuleShape kShape = {.rows = 128, .cols = 96};
constexpr std::string_view kConfig =
    R"({"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": true, "version": "gemm",
        "modules_to_not_convert": ["lm_head", "model.vision_tower.encoder.layers"]})";

ModuleForTests make_module() {
  ModuleForTests module(kName);
  module.put("qweight", DType::kI32, {96, 16})
      .put("qzeros", DType::kI32, {3, 16})
      .put("scales", DType::kF16, {3, 128});
  return module;
}

void expect_refused(const ModuleForTests& module, ErrorCode code, const std::vector<std::string>& parts,
                    std::string_view config = kConfig) {
  expect_error(code, parts, [&] { kAwq.read(module.module(), kShape, quantization_of(config)); });
}

TEST(AwqTest, ReadsTheGemmLayout) {
  const ModuleForTests module = make_module();
  ASSERT_TRUE(kAwq.recognises(module.module()));
  const ModuleReading reading = kAwq.read(module.module(), kShape, quantization_of(kConfig));
  ASSERT_EQ(reading.matrices.size(), 1U);
  const formats::QuantMatrix& matrix = reading.matrices[0];
  EXPECT_EQ(matrix.rows, 128);
  EXPECT_EQ(matrix.cols, 96);
  EXPECT_EQ(matrix.format, formats::Format::kInt4);
  EXPECT_EQ(matrix.code_order, formats::CodeOrder::kOutputWords);
  EXPECT_EQ(matrix.scales->order, formats::TileOrder::kTransposed);
  EXPECT_EQ(matrix.scales->tile_cols, 32);
  EXPECT_EQ(matrix.zeros->order, formats::ZeroPoints::Order::kAwqInterleaved);
  EXPECT_EQ(matrix.zeros->added, 0);
  EXPECT_FALSE(matrix.group_index.has_value());
  EXPECT_TRUE(matrix.may_have_negative_scales);
  EXPECT_THAT(reading.notes, IsEmpty());
  EXPECT_TRUE(kAwq.reads(quantization_of(kConfig).schemes()[0]));
}

TEST(AwqTest, ReadsTheVersionInCapitals) {
  const ModuleForTests module = make_module();
  const auto config =
      quantization_of(R"({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "GEMM"})");
  EXPECT_EQ(kAwq.read(module.module(), kShape, config).matrices.size(), 1U);
}

TEST(AwqTest, TheLastGroupMayBeShort) {
  ModuleForTests module = make_module();
  module.put("qzeros", DType::kI32, {2, 16}).put("scales", DType::kF16, {2, 128});
  const auto config = quantization_of(R"({"quant_method": "awq", "bits": 4, "group_size": 64})");
  EXPECT_EQ(kAwq.read(module.module(), kShape, config).matrices[0].scales->tile_cols, 64);
}

TEST(AwqTest, TheTensorsDecideWhereAModuleIsListedAsLeftAlone) {
  const ModuleForTests module = make_module();
  const auto config = quantization_of(
      R"({"quant_method": "awq", "bits": 4, "group_size": 32, "modules_to_not_convert": ["self_attn.q_proj"]})");
  EXPECT_THAT(kAwq.read(module.module(), kShape, config).notes, ElementsAre(kTensorsDecide));
}

TEST(AwqTest, ContradictionsAndDamageAreRefused) {
  for (const char* suffix : {"qweight", "qzeros", "scales"}) {
    ModuleForTests module = make_module();
    module.remove(suffix);
    expect_refused(module, ErrorCode::kInvalidInput, {std::string("but no ") + suffix});
  }
  ModuleForTests index = make_module();
  index.put("g_idx", DType::kI32, {96});
  expect_refused(index, ErrorCode::kInvalidInput, {"unknown tensor", "g_idx"});
  ModuleForTests gptq = make_module();
  gptq.put("qweight", DType::kI32, {12, 128});
  expect_refused(gptq, ErrorCode::kInvalidInput, {"GPTQ's words of successive inputs", "'gemm'"});
  expect_refused(make_module(), ErrorCode::kInvalidInput, {"3 groups", "group_size 48"},
                 R"({"quant_method": "awq", "bits": 4, "group_size": 48})");
  ModuleForTests zeros = make_module();
  zeros.put("qzeros", DType::kI32, {3, 15});
  expect_refused(zeros, ErrorCode::kInvalidInput, {"qzeros' has shape [3,15]", "[3,16]"});
  ModuleForTests codes = make_module();
  codes.put("qweight", DType::kI32, {95, 16});
  expect_refused(codes, ErrorCode::kInvalidInput, {"qweight' has shape [95,16]", "[96,16]"});
  ModuleForTests type = make_module();
  type.put("qweight", DType::kI16, {96, 16});
  expect_refused(type, ErrorCode::kUnsupported, {"qweight' has type I16"});
}

TEST(AwqTest, OtherVersionsAndWidthsAreNamed) {
  for (const std::string version : {"gemv", "gemv_fast", "marlin"}) {
    expect_refused(make_module(), ErrorCode::kUnsupported,
                   {"AWQ's version '" + version + "'", "supported: gemm"},
                   R"({"quant_method": "awq", "bits": 4, "group_size": 32, "version": ")" + version + "\"}");
    EXPECT_FALSE(kAwq.reads({.format = version, .bits = 4}));
  }
  expect_refused(make_module(), ErrorCode::kUnsupported, {"integers of 8 bits"},
                 R"({"quant_method": "awq", "bits": 8, "group_size": 32})");
}

TEST(AwqTest, MalformedSectionsAreRefused) {
  expect_error(ErrorCode::kInvalidInput, {"modules_to_not_convert", "a list of names"}, [] {
    quantization_of(R"({"quant_method": "awq", "bits": 4, "group_size": 32, "modules_to_not_convert": [1]})");
  });
  expect_error(ErrorCode::kInvalidInput, {"bits is missing"},
               [] { quantization_of(R"({"quant_method": "awq", "group_size": 32})"); });
}

}  // namespace
}  // namespace beryl::checkpoint
