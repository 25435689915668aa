#include "checkpoint/dialects/mlx.h"

#include <fmt/format.h>

#include "checkpoint/dialects/module_for_tests.h"
#include "checkpoint/dialects/quantization_for_tests.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using formats::Format;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const MlxDialect kMlx;
const std::string kName = "language_model.model.layers.0.self_attn.q_proj";
constexpr ModuleShape kShape = {.rows = 128, .cols = 96};

ModuleForTests make_module(int64_t bits = 4) {
  ModuleForTests module(kName);
  module.put("weight", DType::kU32, {128, 96 * bits / 32})
      .put("scales", DType::kBf16, {128, 3})
      .put("biases", DType::kBf16, {128, 3});
  return module;
}

QuantizationConfig config(int64_t bits = 4, std::string_view more = "") {
  return quantization_of(fmt::format(R"({{"group_size": 32, "bits": {}{}}})", bits, more), "quantization");
}

void expect_refused(const ModuleForTests& module, ErrorCode code, const std::vector<std::string>& parts,
                    const QuantizationConfig& quantization = config()) {
  expect_module_refused(kMlx, module.module(), kShape, quantization, code, parts);
}

TEST(MlxTest, ReadsTheBitsThatTheKernelsKnow) {
  for (const auto& [bits, format] : {std::pair(4, Format::kAffine4), std::pair(5, Format::kAffine5),
                                     std::pair(6, Format::kAffine6), std::pair(8, Format::kAffine8)}) {
    const ModuleForTests module = make_module(bits);
    ASSERT_TRUE(kMlx.recognises(module.module()));
    const QuantizationConfig quantization = config(bits);
    EXPECT_EQ(quantization.method(), "mlx");
    EXPECT_TRUE(kMlx.reads(quantization.schemes()[0]));
    const ModuleReading reading = kMlx.read(module.module(), kShape, quantization);
    ASSERT_EQ(reading.matrices.size(), 1U);
    const formats::QuantMatrix& matrix = reading.matrices[0];
    EXPECT_EQ(matrix.format, format);
    EXPECT_EQ(matrix.rows, 128);
    EXPECT_EQ(matrix.cols, 96);
    EXPECT_EQ(matrix.code_order, formats::CodeOrder::kRows);
    EXPECT_EQ(matrix.scales->tile_cols, 32);
    EXPECT_EQ(matrix.minimums->tile_cols, 32);
    EXPECT_NE(matrix.minimums->values.range.offset, matrix.scales->values.range.offset);
    EXPECT_TRUE(matrix.may_have_negative_scales);
    EXPECT_THAT(reading.notes, IsEmpty());
  }
}

TEST(MlxTest, StackedExpertsAreTakenApart) {
  ModuleForTests module("language_model.model.layers.0.experts.switch_glu.gate_proj");
  ASSERT_EQ(module.module().role.part, Part::kFusedExpertsGate);
  module.put("weight", DType::kU32, {8, 32, 12})
      .put("scales", DType::kF16, {8, 32, 3})
      .put("biases", DType::kF16, {8, 32, 3});
  const ModuleReading reading = kMlx.read(module.module(), {.experts = 8, .rows = 32, .cols = 96}, config());
  ASSERT_EQ(reading.matrices.size(), 8U);
  const auto start = [&](size_t expert) { return reading.matrices[expert].codes.range.offset; };
  EXPECT_EQ(start(7) - start(0), 7U * 32 * 12 * 4);
  EXPECT_EQ(reading.matrices[7].codes.range.bytes, 32U * 12 * 4);
  EXPECT_EQ(reading.matrices[7].scales->values.range.bytes, 32U * 3 * 2);
  EXPECT_EQ(reading.matrices[7].minimums->values.range.offset,
            reading.matrices[0].minimums->values.range.offset + 7U * 32 * 3 * 2);
}

TEST(MlxTest, SingleModulesMayDiffer) {
  const QuantizationConfig quantization = config(4, fmt::format(R"(, "{}": {{"bits": 8}})", kName));
  const ModuleForTests module = make_module(8);
  EXPECT_EQ(kMlx.read(module.module(), kShape, quantization).matrices[0].format, Format::kAffine8);
  expect_refused(make_module(4), ErrorCode::kInvalidInput, {kName, "integers of 4 bits", "says 8 bits"},
                 quantization);
  // True is: as the others.
  const QuantizationConfig same = config(4, fmt::format(R"(, "{}": true)", kName));
  EXPECT_EQ(same.find_scheme({Part::kQ, 0}, kName)->bits, 4);
}

TEST(MlxTest, TheTensorsDecideWhereAModuleIsListedAsLeftAlone) {
  const ModuleForTests module = make_module();
  const QuantizationConfig quantization = config(4, fmt::format(R"(, "{}": false)", kName));
  EXPECT_EQ(quantization.find_scheme({Part::kQ, 0}, kName), nullptr);
  EXPECT_THAT(kMlx.read(module.module(), kShape, quantization).notes, ElementsAre(kTensorsDecide));
}

TEST(MlxTest, EmbeddingsAreQuantisedToo) {
  EXPECT_NE(config().find_scheme({Part::kEmbedding}, "language_model.model.embed_tokens"), nullptr);
}

TEST(MlxTest, MissingTensorsAreNamed) {
  for (const char* suffix : {"weight", "scales", "biases"}) {
    ModuleForTests module = make_module();
    module.remove(suffix);
    ASSERT_TRUE(kMlx.recognises(module.module()));
    expect_refused(module, ErrorCode::kInvalidInput, {std::string("but no ") + suffix});
  }
}

TEST(MlxTest, ContradictionsAndDamageAreRefused) {
  expect_refused(make_module(8), ErrorCode::kInvalidInput, {kName, "integers of 8 bits", "says 4 bits"});
  ModuleForTests group = make_module();
  group.put("scales", DType::kBf16, {128, 6}).put("biases", DType::kBf16, {128, 6});
  expect_refused(group, ErrorCode::kInvalidInput, {"groups of 16 inputs", "says group_size 32"});
  ModuleForTests bias = make_module();
  bias.put("bias", DType::kBf16, {128});
  expect_refused(bias, ErrorCode::kInvalidInput, {"unknown tensor", "q_proj.bias'"});
  const std::vector<std::pair<std::string, std::vector<int64_t>>> cases = {
      {"weight", {128, 11}}, {"weight", {12, 128}}, {"weight", {128}},
      {"scales", {127, 3}},  {"biases", {128, 4}},  {"weight", {128, 0}}};
  for (const auto& [suffix, shape] : cases) {
    ModuleForTests module = make_module();
    module.put(suffix, suffix == "weight" ? DType::kU32 : DType::kBf16, shape);
    expect_refused(module, ErrorCode::kInvalidInput, {"q_proj." + suffix + "' has shape", "calls for"});
  }
  ModuleForTests type = make_module();
  type.put("scales", DType::kU8, {128, 3});
  expect_refused(type, ErrorCode::kUnsupported, {"scales' has type U8"});
}

TEST(MlxTest, OtherModesAndWidthsAreNamed) {
  for (const std::string mode : {"mxfp4", "mxfp8", "nvfp4"}) {
    ModuleForTests module = make_module();
    module.put("scales", DType::kU8, {128, 3}).remove("biases");
    const QuantizationConfig quantization = config(4, fmt::format(R"(, "mode": "{}")", mode));
    expect_refused(module, ErrorCode::kUnsupported, {"MLX's mode '" + mode + "'", "supported: affine"},
                   quantization);
    EXPECT_FALSE(kMlx.reads(quantization.schemes()[0]));
  }
  for (const int64_t bits : {2, 3}) {
    expect_refused(make_module(bits), ErrorCode::kUnsupported, {fmt::format("integers of {} bits", bits)},
                   config(bits));
  }
}

TEST(MlxTest, AConfigurationIsNeeded) {
  expect_refused(make_module(), ErrorCode::kInvalidInput, {"config.json does not say how to read them"},
                 parse_quantization_config(nlohmann::json::object(), "config.json"));
}

TEST(MlxTest, MalformedSectionsAreRefused) {
  expect_error(ErrorCode::kInvalidInput, {"bits is missing"},
               [] { quantization_of(R"({"group_size": 32})", "quantization"); });
  expect_error(ErrorCode::kInvalidInput, {"group_size is 0"},
               [] { quantization_of(R"({"group_size": 0, "bits": 4})", "quantization"); });
  expect_error(ErrorCode::kInvalidInput, {"layers.0.a: bits is -1"},
               [] { config(4, R"(, "layers.0.a": {"bits": -1})"); });
}

TEST(MlxTest, ClaimsNothingOfOthers) {
  ModuleForTests plain(kName);
  plain.put("weight", DType::kBf16, {128, 96});
  EXPECT_FALSE(kMlx.recognises(plain.module()));
  ModuleForTests gptq(kName);
  gptq.put("qweight", DType::kI32, {12, 128}).put("scales", DType::kF16, {3, 128});
  EXPECT_FALSE(kMlx.recognises(gptq.module()));
}

}  // namespace
}  // namespace beryl::checkpoint
