// On tiny random checkpoints; tests/compare_demo_test.cc holds a trained pair against transformers.
#include "eval/compare_models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "eval/compare_chart.h"
#include "eval/divergence.h"

namespace beryl::eval {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TinyModel {
 public:
  explicit TinyModel(const std::string& name)
      : backend_(backend::make_cpu_backend({.threads = 1})),
        checkpoint_(checkpoint::Checkpoint::open(std::filesystem::path(BERYL_SOURCE_DIR) / "testdata" /
                                                 "checkpoints" / name)) {
    NoProgress progress;
    network_ = model::load_network(checkpoint_.config(), checkpoint_.weights(), *backend_, progress);
  }

  ModelTrace trace(std::span<const CompareText> texts, CompareLayers layers) const {
    NoProgress progress;
    return {network_, *backend_, texts, layers, progress};
  }
  CompareResult compare(const ModelTrace& first, std::span<const CompareText> texts) const {
    NoProgress progress;
    return compare_with(first, network_, *backend_, texts, progress);
  }

 private:
  std::unique_ptr<backend::Backend> backend_;
  checkpoint::Checkpoint checkpoint_;
  model::Network network_;
};

std::vector<CompareText> texts() {
  std::vector<CompareText> list = {{.tokens = {2, 5, 9, 300, 17, 4, 4, 8}, .first = 3},
                                   {.tokens = {}, .first = 0}};
  for (int32_t token = 0; token < 100; ++token) list[1].tokens.push_back((token * 37 + 2) % 500);
  return list;
}

TEST(CompareModelsTest, AModelIsExactlyItself) {
  const TinyModel model("moe-bf16");
  const CompareResult result = model.compare(model.trace(texts(), CompareLayers::kYes), texts());
  EXPECT_EQ(result.positions.size(), 105U);
  EXPECT_EQ(result.kl_max, 0);
  EXPECT_EQ(result.same_choice, 1);
  EXPECT_EQ(result.first_perplexity, result.second_perplexity);
  ASSERT_FALSE(result.layers.empty());
  for (const LayerDifference& layer : result.layers) {
    EXPECT_EQ(layer.relative_error, 0);
    EXPECT_EQ(layer.changed_choices, 0);
    EXPECT_EQ(layer.changed_positions, 0);
  }
  // The last token of each text is followed by none.
  EXPECT_FALSE(result.positions[4].first_logprob);
  EXPECT_TRUE(result.positions[3].first_logprob);
  EXPECT_EQ(result.positions[0].position, 3U);
}

TEST(CompareModelsTest, AQuantisedModelDiffers) {
  const ModelTrace first = TinyModel("moe-bf16").trace(texts(), CompareLayers::kYes);
  const CompareResult result = TinyModel("moe-ct-w4a16-g32").compare(first, texts());
  EXPECT_GT(result.kl_mean, 0);
  EXPECT_LE(result.kl_median, result.kl_p99);
  EXPECT_LE(result.kl_p99, result.kl_p999);
  EXPECT_LE(result.kl_p999, result.kl_max);
  EXPECT_EQ(result.embedding_error, 0);  // not quantised
  EXPECT_GT(result.layers.at(0).relative_error, 0);
  EXPECT_GT(*result.layers.back().changed_choices, 0);
  EXPECT_GE(*result.layers.back().changed_positions, *result.layers.back().changed_choices);

  const std::string svg = draw_comparison(result, "a<b", "c");
  EXPECT_THAT(svg, HasSubstr("a&lt;b"));
  EXPECT_THAT(svg, HasSubstr("changed choices of experts"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(CompareModelsTest, DenseModelsHaveNoChoices) {
  const TinyModel model("dense-bf16");
  const CompareResult with = model.compare(model.trace(texts(), CompareLayers::kYes), texts());
  EXPECT_FALSE(with.layers.at(0).changed_choices);
  const CompareResult without = model.compare(model.trace(texts(), CompareLayers::kNo), texts());
  EXPECT_TRUE(without.layers.empty());
  EXPECT_THAT(draw_comparison(without, "a", "a"), Not(HasSubstr("nan")));
}

TEST(CompareModelsTest, RefusesModelsOfOtherShapes) {
  const std::vector<CompareText> few = {{.tokens = {2, 5, 9}, .first = 0}};
  const ModelTrace first = TinyModel("moe-bf16").trace(few, CompareLayers::kYes);
  try {
    TinyModel("wide-bf16").compare(first, few);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("cannot be compared"));
  }
}

TEST(KlDivergenceTest, IsThatOfTheDefinition) {
  const std::vector<float> first = {std::log(0.5F), std::log(0.25F), std::log(0.25F)};
  const std::vector<float> second = {std::log(0.25F) + 3, std::log(0.25F) + 3, std::log(0.5F) + 3};
  EXPECT_NEAR(kl_divergence(first, second), 0.5 * std::log(2.0) - 0.25 * std::log(2.0), 1e-7);
  EXPECT_EQ(kl_divergence(first, first), 0);
}

}  // namespace
}  // namespace beryl::eval
