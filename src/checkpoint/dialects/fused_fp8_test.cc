#include "checkpoint/dialects/fused_fp8.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "checkpoint/dialects/module_for_tests.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kGateUp = "model.language_model.layers.0.experts.gate_up_proj";
constexpr ModuleShape kShape = {.experts = 4, .rows = 64, .cols = 48};
const FusedFp8Dialect kDialect;

ModuleForTests stored(const std::string& suffix, std::vector<int64_t> scale_shape) {
  ModuleForTests module(kGateUp);
  module.put("", DType::kF8E4M3, {4, 64, 48}).put(suffix, DType::kBf16, std::move(scale_shape));
  return module;
}

TEST(FusedFp8DialectTest, KnowsTheScaleByItsShape) {
  for (const char* suffix : {"scale", "weight_scale", "scales"}) {
    for (const std::vector<int64_t>& shape : {std::vector<int64_t>{4, 64}, std::vector<int64_t>{4, 64, 1}}) {
      const ModuleForTests tensors = stored(suffix, shape);
      const Module module = tensors.module();
      ASSERT_TRUE(kDialect.recognises(module)) << suffix;
      const ModuleReading reading = kDialect.read(module, kShape, QuantizationConfig());
      ASSERT_THAT(reading.matrices, SizeIs(4));
      const formats::QuantMatrix& third = reading.matrices[2];
      EXPECT_EQ(third.rows, 64);
      EXPECT_EQ(formats::scale_text(third), "per row");
      EXPECT_EQ(third.codes.range.offset, module.find("")->range.offset + 2 * 64 * 48);
      EXPECT_EQ(third.scales->values.range.offset, module.find(suffix)->range.offset + 2 * 64 * 2);
      EXPECT_THAT(reading.skipped, IsEmpty());
    }
  }
}

TEST(FusedFp8DialectTest, UpHasTheSecondHalfOfTheScales) {
  const ModuleForTests tensors = stored("scale", {4, 64});
  const ModuleReading reading = kDialect.read(tensors.module(), kShape, QuantizationConfig());
  const auto [gate, up] = formats::split_rows(reading.matrices[0]);
  EXPECT_EQ(up.scales->values.range.offset, gate.scales->values.range.offset + 32 * 2);
  EXPECT_EQ(up.scales->values.count(), 32);
}

TEST(FusedFp8DialectTest, OtherTensorsAreNotItsOwn) {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{4}, std::vector<int64_t>{4, 48}, std::vector<int64_t>{4, 1, 64},
        std::vector<int64_t>{8, 64}, std::vector<int64_t>{4, 64, 3}, std::vector<int64_t>{}}) {
    EXPECT_FALSE(kDialect.recognises(stored("scale", shape).module())) << shape_text(shape);
  }
  ModuleForTests alone(kGateUp);
  EXPECT_FALSE(kDialect.recognises(alone.put("", DType::kF8E4M3, {4, 64, 48}).module()));
  ModuleForTests more = stored("scale", {4, 64});
  EXPECT_FALSE(kDialect.recognises(more.put("bias", DType::kBf16, {4, 64}).module()));
  ModuleForTests plain = stored("scale", {4, 64});
  EXPECT_FALSE(kDialect.recognises(plain.put("", DType::kBf16, {4, 64, 48}).module()));
  ModuleForTests codes = stored("scale", {4, 64});
  EXPECT_FALSE(kDialect.recognises(codes.put("scale", DType::kU8, {4, 64}).module()));
}

TEST(FusedFp8DialectTest, ShapesMustBeTheNetworks) {
  const ModuleForTests tensors = stored("scale", {4, 64});
  expect_module_refused(kDialect, tensors.module(), {.experts = 8, .rows = 64, .cols = 48},
                        QuantizationConfig(), ErrorCode::kInvalidInput, {"[4,64,48]", "[8,64,48]"});
}

TEST(FusedFp8DialectTest, ConfigurationOfAnotherKindIsRefused) {
  const ModuleForTests tensors = stored("scale", {4, 64});
  const QuantizationConfig blocks = parse_quantization_config(
      {{"quantization_config", {{"quant_method", "fp8"}, {"weight_block_size", {32, 32}}}}}, "config.json");
  expect_module_refused(kDialect, tensors.module(), kShape, blocks, ErrorCode::kInvalidInput,
                        {"'" + kGateUp + "' is stored as FP8 with a scale for each row", "fp8"});
}

}  // namespace
}  // namespace beryl::checkpoint
