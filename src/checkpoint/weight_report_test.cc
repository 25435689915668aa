// Figures worked out by hand from the shapes of the tiny checkpoints: 4 layers of width 96, of which two are
// full; 8 experts of width 32, of which 4 take part in a token; a vocabulary of 512.
#include "checkpoint/weight_report.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint_editor_for_tests.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

WeightReport report_of(const Checkpoint& checkpoint) {
  return make_weight_report(checkpoint.weights(), checkpoint.config(), checkpoint.shards().tensors());
}

WeightReport report_of(const std::string& name) {
  const auto path = std::filesystem::path(BERYL_SOURCE_DIR) / "testdata/checkpoints" / name;
  return report_of(Checkpoint::open(path));
}

// Of the class with that name; some classes are stored in two ways.
WeightClass class_named(const WeightReport& report, std::string_view name) {
  for (const WeightClass& entry : report.classes) {
    if (entry.name == name) return entry;
  }
  ADD_FAILURE() << "no class " << name;
  return {};
}

void expect_class(const WeightReport& report, const WeightClass& expected) {
  const WeightClass found = class_named(report, expected.name);
  EXPECT_EQ(found.dialect, expected.dialect) << expected.name;
  EXPECT_EQ(found.format, expected.format) << expected.name;
  EXPECT_EQ(found.scales, expected.scales) << expected.name;
  EXPECT_EQ(found.is_loaded, expected.is_loaded) << expected.name;
  EXPECT_EQ(found.count, expected.count) << expected.name;
  EXPECT_EQ(found.parameters, expected.parameters) << expected.name;
  EXPECT_EQ(found.bytes, expected.bytes) << expected.name;
}

TEST(WeightReportTest, CountsEachClass) {
  const WeightReport report = report_of("moe-ct-fp8-dynamic");
  expect_class(report, {.name = "embedding",
                        .dialect = "plain",
                        .format = "bf16",
                        .scales = "none",
                        .count = 1,
                        .parameters = 512 * 96,
                        .bytes = 512 * 96 * 2});
  // q, k, v, o of two sliding layers; q, k, o of two full ones. A bf16 scale for each row.
  expect_class(report, {.name = "attention",
                        .dialect = "compressed-tensors",
                        .format = "fp8-e4m3",
                        .scales = "per row",
                        .count = 14,
                        .parameters = 184'320,
                        .bytes = 184'320 + 2 * (352 + 416) * 2});
  expect_class(report, {.name = "dense MLP",
                        .dialect = "compressed-tensors",
                        .format = "fp8-e4m3",
                        .scales = "per row",
                        .count = 12,
                        .parameters = 73'728,
                        .bytes = 73'728 + 4 * 224 * 2});
  expect_class(report, {.name = "router",
                        .dialect = "plain",
                        .format = "bf16",
                        .scales = "none",
                        .count = 12,
                        .parameters = 4 * (768 + 96 + 8),
                        .bytes = 4 * (768 + 96 + 8) * 2});
  expect_class(report, {.name = "experts",
                        .dialect = "compressed-tensors",
                        .format = "fp8-e4m3",
                        .scales = "per row",
                        .count = 96,
                        .parameters = 294'912,
                        .bytes = 294'912 + 32 * 160 * 2});
  expect_class(report, {.name = "norms and scalars",
                        .dialect = "plain",
                        .format = "bf16",
                        .scales = "none",
                        .count = 41,
                        .parameters = 3'172,
                        .bytes = 3'172 * 2});
  EXPECT_EQ(report.parameters, 608'772U);
  EXPECT_EQ(report.active_parameters, 608'772U - 294'912U / 2);
}

TEST(WeightReportTest, CountsScalesInTheBitsOfAWeight) {
  EXPECT_DOUBLE_EQ(class_named(report_of("moe-bf16"), "experts").bits_per_weight(), 16);
  EXPECT_DOUBLE_EQ(class_named(report_of("moe-ct-fp8-dynamic"), "experts").bits_per_weight(),
                   8 * (294'912 + 10'240) / 294'912.0);
  EXPECT_DOUBLE_EQ(class_named(report_of("moe-ct-mxfp4"), "experts").bits_per_weight(), 4.25);
  EXPECT_EQ(WeightClass{}.bits_per_weight(), 0);
}

// Both halves of gate_up_proj refer to one grid of scales, [8, 2, 3] a layer; that of down_proj is [8, 3, 1].
TEST(WeightReportTest, CountsSharedScalesOnce) {
  const WeightReport report = report_of("moe-hf-finegrained-fp8");
  EXPECT_EQ(class_named(report, "experts").count, 96);
  EXPECT_EQ(class_named(report, "experts").bytes, 294'912U + 4 * (48 + 24) * 4);
}

TEST(WeightReportTest, ListsTowersAsNotLoaded) {
  const WeightReport report = report_of("moe-ct-fp8-dynamic");
  const WeightClass tower = class_named(report, "vision tower");
  EXPECT_FALSE(tower.is_loaded);
  EXPECT_EQ(tower.dialect, "");
  EXPECT_EQ(tower.format, "bf16");
  EXPECT_EQ(tower.count, 31);
  EXPECT_EQ(tower.bytes, 105'216U);
  EXPECT_EQ(tower.parameters, 105'216U / 2);
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_THAT(report.skipped.front().reason, HasSubstr("tower"));
  EXPECT_EQ(report.skipped.front().count, 31);
  EXPECT_EQ(report.skipped.front().bytes, 105'216U);
}

TEST(WeightReportTest, ListsTwoWaysOfStoringOneClassApart) {
  CheckpointEditor editor("moe-bf16");
  editor.put("model.language_model.layers.0.mlp.up_proj.weight", DType::kF32, {64, 96});
  const WeightReport report = report_of(editor.open());
  std::vector<std::pair<std::string, int64_t>> stored;
  for (const WeightClass& entry : report.classes) {
    if (entry.name == "dense MLP") stored.emplace_back(entry.format, entry.count);
  }
  EXPECT_THAT(stored, ElementsAre(std::pair("bf16", 11), std::pair("f32", 1)));
}

TEST(WeightReportTest, CountsOneRowOfATableAsActive) {
  CheckpointEditor editor("moe-bf16");
  const WeightReport tied = report_of(editor.open());
  editor.put("lm_head.weight", DType::kBf16, {512, 96});
  const WeightReport apart = report_of(editor.open());
  EXPECT_EQ(class_named(apart, "head").parameters, 512U * 96);
  EXPECT_EQ(apart.parameters, tied.parameters + 512 * 96);
  EXPECT_EQ(apart.active_parameters, tied.active_parameters + 96);

  const WeightReport per_layer = report_of("ple-bf16");
  const WeightClass table = class_named(per_layer, "per-layer embedding");
  EXPECT_EQ(per_layer.parameters - per_layer.active_parameters, table.parameters - table.parameters / 512);
}

// What NF4 keeps beside each weight, a table and a note in JSON, is read when the file is opened.
constexpr uint64_t kNf4Extras = 256;

TEST(WeightReportTest, EveryByteIsInAClassOrSkipped) {
  const auto folder = std::filesystem::path(BERYL_SOURCE_DIR) / "testdata/checkpoints";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const WeightReport report = report_of(entry.path().filename().string());
    uint64_t bytes = 0;
    uint64_t extras = 0;
    for (const WeightClass& weights : report.classes) {
      if (!weights.is_loaded) continue;
      bytes += weights.bytes;
      if (weights.format == "nf4") extras += static_cast<uint64_t>(weights.count) * kNf4Extras;
    }
    for (const SkippedClass& skipped : report.skipped) bytes += skipped.bytes;
    EXPECT_LE(bytes, report.tensor_bytes) << entry.path();
    EXPECT_GE(bytes + extras, report.tensor_bytes) << entry.path();
  }
}

}  // namespace
}  // namespace beryl::checkpoint
