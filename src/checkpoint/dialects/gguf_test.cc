#include "checkpoint/dialects/gguf.h"

#include "checkpoint/dialects/module_for_tests.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using formats::Format;

const GgufDialect kGguf;
const std::string kName = "model.language_model.layers.0.self_attn.q_proj";
const std::string kExperts = "model.language_model.layers.0.experts.down_proj";
constexpr ModuleShape kShape = {.rows = 64, .cols = 512};

ModuleForTests make_module(DType dtype, std::vector<int64_t> shape = {64, 512}) {
  ModuleForTests module(kName);
  module.put("weight", dtype, std::move(shape));
  return module;
}

void expect_refused(const ModuleForTests& module, const ModuleShape& shape, ErrorCode code,
                    const std::vector<std::string>& parts) {
  expect_module_refused(kGguf, module.module(), shape, QuantizationConfig(), code, parts);
}

TEST(GgufDialectTest, ReadsEveryTypeOfBlocks) {
  for (const auto& [dtype, format] :
       {std::pair(DType::kQ4_0, Format::kQ4_0), std::pair(DType::kQ4_1, Format::kQ4_1),
        std::pair(DType::kQ5_0, Format::kQ5_0), std::pair(DType::kQ5_1, Format::kQ5_1),
        std::pair(DType::kQ8_0, Format::kQ8_0), std::pair(DType::kQ4K, Format::kQ4K),
        std::pair(DType::kQ5K, Format::kQ5K), std::pair(DType::kQ6K, Format::kQ6K)}) {
    const ModuleForTests module = make_module(dtype);
    ASSERT_TRUE(kGguf.recognises(module.module()));
    const ModuleReading reading = kGguf.read(module.module(), kShape, QuantizationConfig());
    ASSERT_EQ(reading.matrices.size(), 1U);
    EXPECT_EQ(reading.matrices[0].format, format);
    EXPECT_EQ(reading.matrices[0].rows, 64);
    EXPECT_EQ(reading.matrices[0].cols, 512);
    EXPECT_EQ(reading.matrices[0].codes.count(), 64 * 512);
    EXPECT_TRUE(reading.matrices[0].may_have_negative_scales);
    EXPECT_TRUE(reading.skipped.empty());
  }
}

TEST(GgufDialectTest, ExpertsLieOneBehindTheOther) {
  ModuleForTests module(kExperts);
  module.put("", DType::kQ4_0, {4, 64, 96});
  ASSERT_TRUE(kGguf.recognises(module.module()));
  const ModuleReading reading =
      kGguf.read(module.module(), {.experts = 4, .rows = 64, .cols = 96}, QuantizationConfig());
  ASSERT_EQ(reading.matrices.size(), 4U);
  for (uint64_t i = 0; i < 4; ++i) {
    const formats::ElementRange& codes = reading.matrices[i].codes;
    EXPECT_EQ(codes.range.bytes, 64U * 3 * 18);
    EXPECT_EQ(codes.range.offset, reading.matrices[0].codes.range.offset + i * 64 * 3 * 18);
  }
}

TEST(GgufDialectTest, LeavesEverythingElseToOthers) {
  for (const DType dtype :
       {DType::kBf16, DType::kF16, DType::kF32, DType::kU8, DType::kI32, DType::kF8E4M3}) {
    EXPECT_FALSE(kGguf.recognises(make_module(dtype).module()));
  }
  EXPECT_FALSE(kGguf.recognises(make_module(DType::kQ4_0).put("weight_scale", DType::kF32, {64}).module()));
  EXPECT_FALSE(kGguf.recognises(ModuleForTests(kName).module()));
}

TEST(GgufDialectTest, RefusesOtherShapesAndUses) {
  expect_refused(make_module(DType::kQ4_0, {64, 256}), kShape, ErrorCode::kInvalidInput,
                 {"q_proj.weight", "[64,256]", "[64,512]"});
  expect_refused(make_module(DType::kQ8_0, {512}), {.rows = 512, .cols = 1, .is_vector = true},
                 ErrorCode::kUnsupported, {"q_proj"});
  ModuleForTests scaled(kName);
  scaled.put("weight_scale", DType::kQ4_0, {64, 512});
  expect_refused(scaled, kShape, ErrorCode::kInvalidInput, {"unknown tensor", "weight_scale"});
}

}  // namespace
}  // namespace beryl::checkpoint
