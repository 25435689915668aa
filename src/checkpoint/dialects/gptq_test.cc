#include "checkpoint/dialects/gptq.h"

#include "checkpoint/dialects/module_for_tests.h"
#include "checkpoint/dialects/quantization_for_tests.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const GptqDialect kGptq;
const std::string kName = "model.language_model.layers.0.self_attn.q_proj";
// 96 inputs in groups of 32, 128 outputs.
constexpr ModuleShape kShape = {.rows = 128, .cols = 96};
constexpr std::string_view kConfig =
    R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": false, "sym": true,
        "checkpoint_format": "gptq", "lm_head": false})";

ModuleForTests make_module() {
  ModuleForTests module(kName);
  module.put("qweight", DType::kI32, {12, 128})
      .put("qzeros", DType::kI32, {3, 16})
      .put("scales", DType::kF16, {3, 128})
      .put("g_idx", DType::kI32, {96});
  return module;
}

std::string with(std::string_view fields) {
  return std::string(kConfig.substr(0, kConfig.size() - 1)) + ", " + std::string(fields) + "}";
}

ModuleReading read(const ModuleForTests& module, std::string_view config = kConfig) {
  return kGptq.read(module.module(), kShape, quantization_of(config));
}

void expect_refused(const ModuleForTests& module, ErrorCode code, const std::vector<std::string>& parts,
                    std::string_view config = kConfig) {
  expect_error(code, parts, [&] { read(module, config); });
}

TEST(GptqTest, ReadsFourBits) {
  const ModuleForTests module = make_module();
  ASSERT_TRUE(kGptq.recognises(module.module()));
  const ModuleReading reading = read(module);
  ASSERT_EQ(reading.matrices.size(), 1U);
  const formats::QuantMatrix& matrix = reading.matrices[0];
  EXPECT_EQ(matrix.rows, 128);
  EXPECT_EQ(matrix.cols, 96);
  EXPECT_EQ(matrix.format, formats::Format::kInt4);
  EXPECT_EQ(matrix.code_order, formats::CodeOrder::kInputWords);
  EXPECT_EQ(matrix.scales->order, formats::TileOrder::kTransposed);
  EXPECT_EQ(matrix.scales->tile_cols, 32);
  EXPECT_EQ(matrix.zeros->order, formats::ZeroPoints::Order::kAlongOutputs);
  EXPECT_EQ(matrix.zeros->group_size, 32);
  EXPECT_TRUE(matrix.group_index.has_value());
  EXPECT_TRUE(matrix.may_have_negative_scales);
  EXPECT_THAT(reading.notes, IsEmpty());
  EXPECT_THAT(reading.skipped, IsEmpty());
}

TEST(GptqTest, TheFirstVersionStoresZeroPointsLessOne) {
  EXPECT_EQ(read(make_module()).matrices[0].zeros->added, 1);
  const std::string unsaid = R"({"quant_method": "gptq", "bits": 4, "group_size": 32})";
  EXPECT_EQ(read(make_module(), unsaid).matrices[0].zeros->added, 1);
  const std::string second =
      R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "gptq_v2"})";
  EXPECT_EQ(read(make_module(), second).matrices[0].zeros->added, 0);
  const std::string newer = R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "format": "gptq_v2"})";
  EXPECT_EQ(read(make_module(), newer).matrices[0].zeros->added, 0);
}

TEST(GptqTest, ReadsEightBitsAndOneGroupARow) {
  ModuleForTests module = make_module();
  module.put("qweight", DType::kI32, {24, 128}).put("qzeros", DType::kI32, {1, 32});
  module.put("scales", DType::kBf16, {1, 128}).remove("g_idx");
  const ModuleReading reading = read(module, R"({"quant_method": "gptq", "bits": 8, "group_size": -1})");
  EXPECT_EQ(reading.matrices[0].format, formats::Format::kInt8);
  EXPECT_EQ(reading.matrices[0].scales->tile_cols, 96);
  EXPECT_FALSE(reading.matrices[0].group_index.has_value());
}

TEST(GptqTest, DynamicEntriesOverrideSingleModules) {
  ModuleForTests module = make_module();
  module.put("qweight", DType::kI32, {24, 128}).put("qzeros", DType::kI32, {3, 32});
  const std::string eight = with(R"("dynamic": {"+:.*layers\\.0\\..*": {"bits": 8}, "-:.*vision.*": {}})");
  EXPECT_EQ(read(module, eight).matrices[0].format, formats::Format::kInt8);
  const std::string other = with(R"("dynamic": {".*layers\\.1\\..*": {"bits": 8}})");
  expect_refused(module, ErrorCode::kInvalidInput, {"integers of 8 bits", "says 4 bits"}, other);
}

TEST(GptqTest, TheTensorsDecideWhereAModuleIsListedAsLeftAlone) {
  const ModuleReading reading = read(make_module(), with(R"("dynamic": {"-:.*self_attn.*": {}})"));
  EXPECT_EQ(reading.matrices.size(), 1U);
  EXPECT_THAT(reading.notes, ElementsAre(kTensorsDecide));
  const QuantizationConfig config = quantization_of(kConfig);
  EXPECT_EQ(config.find_scheme({Part::kHead}, "lm_head"), nullptr);
  EXPECT_FALSE(config.expects_quantised({Part::kQ, 0}, "model.language_model.layers.0.self_attn.q_proj"));
}

TEST(GptqTest, MissingTensorsAreNamed) {
  for (const char* suffix : {"qweight", "qzeros", "scales"}) {
    ModuleForTests module = make_module();
    module.remove(suffix);
    ASSERT_TRUE(kGptq.recognises(module.module()));
    expect_refused(module, ErrorCode::kInvalidInput, {std::string("but no ") + suffix});
  }
  ModuleForTests module = make_module();
  module.remove("g_idx");
  read(module);
  expect_refused(module, ErrorCode::kInvalidInput, {"but no g_idx"},
                 R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": true})");
}

TEST(GptqTest, OtherTensorsAreRefused) {
  ModuleForTests module = make_module();
  module.put("bias", DType::kF16, {128});
  expect_refused(module, ErrorCode::kInvalidInput, {"unknown tensor", "q_proj.bias"});
}

TEST(GptqTest, ShapesAndTypesAreChecked) {
  const std::vector<std::pair<std::string, std::vector<int64_t>>> cases = {
      {"qweight", {11, 128}}, {"qweight", {12, 120}}, {"qweight", {12}},     {"qzeros", {3, 15}},
      {"qzeros", {2, 16}},    {"scales", {3, 127}},   {"g_idx", {95}},       {"g_idx", {96, 1}},
      {"qweight", {0, 128}},  {"scales", {128, 3}},   {"qweight", {1, 1, 1}}};
  for (const auto& [suffix, shape] : cases) {
    ModuleForTests module = make_module();
    module.put(suffix, suffix == "scales" ? DType::kF16 : DType::kI32, shape);
    expect_refused(module, ErrorCode::kInvalidInput, {"q_proj." + suffix + "' has shape", "calls for"});
  }
  for (const char* suffix : {"qweight", "qzeros", "scales", "g_idx"}) {
    ModuleForTests module = make_module();
    const std::vector<int64_t> shape = module.module().find(suffix)->shape;
    module.put(suffix, DType::kI64, shape);
    expect_refused(module, ErrorCode::kUnsupported, {std::string(suffix) + "' has type I64"});
  }
  ModuleForTests huge = make_module();
  huge.put("qweight", DType::kI32, {int64_t{1} << 60, 0});
  expect_refused(huge, ErrorCode::kInvalidInput, {"qweight' has shape"});
}

TEST(GptqTest, ContradictionsNameTheModule) {
  expect_refused(make_module(), ErrorCode::kInvalidInput,
                 {"layers.0.self_attn.q_proj", "integers of 4 bits", "says 8 bits"},
                 R"({"quant_method": "gptq", "bits": 8, "group_size": 32})");
  expect_refused(make_module(), ErrorCode::kInvalidInput, {"3 groups", "group_size 48, which makes 2"},
                 R"({"quant_method": "gptq", "bits": 4, "group_size": 48})");
  ModuleForTests awq = make_module();
  awq.put("qweight", DType::kI32, {96, 16});
  expect_refused(awq, ErrorCode::kInvalidInput, {"AWQ's words of eight outputs", "'gptq'"});
}

TEST(GptqTest, WhatIsNotSupportedIsNamed) {
  ModuleForTests three = make_module();
  three.put("qweight", DType::kI32, {9, 128}).put("qzeros", DType::kI32, {3, 12});
  expect_refused(three, ErrorCode::kUnsupported, {"integers of 3 bits", "supported: 4 and 8"},
                 R"({"quant_method": "gptq", "bits": 3, "group_size": 32})");
  expect_refused(make_module(), ErrorCode::kUnsupported, {"GPTQ's format 'marlin'"},
                 R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "marlin"})");
  expect_error(ErrorCode::kUnsupported, {"all experts in one tensor"}, [] {
    const ModuleForTests module = make_module();
    kGptq.read(module.module(), {.experts = 8, .rows = 128, .cols = 96}, quantization_of(kConfig));
  });
  expect_error(ErrorCode::kUnsupported, {"is stored as I32"}, [] {
    const ModuleForTests module = make_module();
    kGptq.read(module.module(), {.rows = 128, .cols = 1, .is_vector = true}, quantization_of(kConfig));
  });
  expect_error(ErrorCode::kUnsupported, {"has 92 inputs, expected a multiple of 8"}, [] {
    const ModuleForTests module = make_module();
    kGptq.read(module.module(), {.rows = 128, .cols = 92}, quantization_of(kConfig));
  });
}

TEST(GptqTest, AConfigurationIsNeeded) {
  const ModuleForTests module = make_module();
  expect_error(ErrorCode::kInvalidInput, {"q_proj", "config.json does not say how to read them"}, [&] {
    kGptq.read(module.module(), kShape, parse_quantization_config(nlohmann::json::object(), "config.json"));
  });
}

TEST(GptqTest, MalformedSectionsAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"quant_method": "gptq", "group_size": 32})", "bits is missing"},
      {R"({"quant_method": "gptq", "bits": 4})", "group_size is missing"},
      {R"({"quant_method": "gptq", "bits": 4, "group_size": 0})", "group_size is 0"},
      {R"({"quant_method": "gptq", "bits": "4", "group_size": 32})", "bits is \"4\""},
      {with(R"("format": "gptq_v2")"), "format is \"gptq_v2\", expected \"gptq\""},
      {with(R"("dynamic": {"+:(": {}})"), "cannot be understood"},
      {with(R"("dynamic": {"+:a": 3})"), "expected an object"},
      {with(R"("dynamic": [])"), "expected an object"},
  };
  for (const auto& [section, part] : cases) {
    expect_error(ErrorCode::kInvalidInput, {part}, [&] { quantization_of(section); });
  }
}

TEST(GptqTest, SaysWhichSchemesItReads) {
  EXPECT_TRUE(kGptq.reads(quantization_of(kConfig).schemes()[0]));
  EXPECT_FALSE(kGptq.reads({.format = "gptq", .bits = 3}));
  EXPECT_FALSE(kGptq.reads({.format = "pack-quantized", .bits = 4}));
}

TEST(GptqTest, ClaimsNothingOfOthers) {
  ModuleForTests plain(kName);
  plain.put("weight", DType::kBf16, {128, 96});
  EXPECT_FALSE(kGptq.recognises(plain.module()));
  ModuleForTests mlx(kName);
  mlx.put("weight", DType::kU32, {128, 12}).put("scales", DType::kBf16, {128, 3});
  EXPECT_FALSE(kGptq.recognises(mlx.module()));
}

}  // namespace
}  // namespace beryl::checkpoint
