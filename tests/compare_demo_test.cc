// The demo model in FP8 against bf16: what numpy computes from the logits and streams of transformers in
// float32, on all answers of the test problems (testdata/compare/demo-fp8.json). Long, so only without
// sanitizers.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "backend/cpu/cpu_backend.h"
#include "checkpoint/checkpoint.h"
#include "eval/compare_models.h"
#include "eval/compare_texts.h"
#include "text/template_source.h"

namespace beryl {
namespace {

namespace fs = std::filesystem;

const fs::path kProject = BERYL_SOURCE_DIR;

// Runs `work(network, backend)` on a loaded model.
template <typename Work>
auto with_model(const fs::path& directory, const Work& work) {
  const checkpoint::Checkpoint opened = checkpoint::Checkpoint::open(directory);
  const auto backend = backend::make_cpu_backend({.threads = 1, .compute = backend::Compute::kF32});
  NoProgress progress;
  const model::Network network = model::load_network(opened.config(), opened.weights(), *backend, progress);
  return work(network, *backend);
}

TEST(CompareDemoTest, AgreesWithTransformersWithinOnePercent) {
  const fs::path demo = kProject / "models/demo";
  const text::Tokenizer tokenizer = text::load_tokenizer(demo / "tokenizer.json");
  const text::ChatTemplate chat_template(text::load_template_source(demo).text, "template");
  const auto texts = eval::load_compare_texts(demo / "test.jsonl", tokenizer, &chat_template,
                                              {.positions_max = 1'000'000, .context_max = 1024});
  NoProgress progress;
  const eval::ModelTrace first = with_model(demo, [&](const auto& network, auto& backend) {
    return eval::ModelTrace(network, backend, texts, eval::CompareLayers::kYes, progress);
  });
  const eval::CompareResult result =
      with_model(kProject / "models/demo-fp8", [&](const auto& network, auto& backend) {
        return eval::compare_with(first, network, backend, texts, progress);
      });

  const auto expected = nlohmann::json::parse(std::ifstream(kProject / "testdata/compare/demo-fp8.json"));
  const auto expect = [](double value, const nlohmann::json& wanted, const char* name) {
    EXPECT_NEAR(value, wanted[name].get<double>(), 0.01 * wanted[name].get<double>()) << name;
  };
  ASSERT_EQ(result.positions.size(), expected["positions"].get<size_t>());
  expect(result.kl_mean, expected, "kl_mean");
  expect(result.kl_median, expected, "kl_median");
  expect(result.kl_p99, expected, "kl_p99");
  expect(result.kl_p999, expected, "kl_p999");
  expect(result.kl_max, expected, "kl_max");
  expect(result.same_choice, expected, "same_choice");
  expect(result.first_perplexity.value_or(0), expected, "first_perplexity");
  expect(result.second_perplexity.value_or(0), expected, "second_perplexity");
  ASSERT_EQ(result.layers.size(), expected["layers"].size());
  for (size_t layer = 0; layer < result.layers.size(); ++layer) {
    const nlohmann::json& wanted = expected["layers"][layer];
    expect(result.layers[layer].relative_error, wanted, "relative_error");
    expect(result.layers[layer].changed_choices.value_or(0), wanted, "changed_choices");
    expect(result.layers[layer].changed_positions.value_or(0), wanted, "changed_positions");
  }
}

}  // namespace
}  // namespace beryl
