// The demo models on the prompts and answers of models/demo/golden.json, teacher-forced: against what
// transformers recorded, and bf16 arithmetic against float32. Slow under sanitizers, so only in builds
// without.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "checkpoint/checkpoint.h"
#include "engine/sequence.h"
#include "eval/golden_check.h"
#include "model/network.h"

namespace beryl {
namespace {

namespace fs = std::filesystem;

const fs::path kModels = fs::path(BERYL_SOURCE_DIR) / "models";

// What transformers found with the prompts, in one arithmetic.
enum class Record : uint8_t { kFloat32, kBfloat16 };

// Prompts with recorded greedy tokens and margins; the file has no logits. Recorded are 48 tokens, whether or
// not the answer ended before. Of bf16 arithmetic only the answer is taken: what the model says after the end
// is so unsure of itself that transformers' two arithmetics part there at margins of up to 2.8.
eval::GoldenFile load_record(Record record) {
  const nlohmann::json file = nlohmann::json::parse(std::ifstream(kModels / "demo" / "golden.json"));
  eval::GoldenFile golden;
  for (const nlohmann::json& prompt : file.at("prompts")) {
    const nlohmann::json& answer = prompt.at(record == Record::kFloat32 ? "float32" : "bfloat16");
    eval::GoldenPrompt read = {.input_ids = prompt.at("prompt_ids").get<std::vector<int32_t>>(),
                               .greedy = answer.at("ids").get<std::vector<int32_t>>(),
                               .greedy_margin = answer.at("margins").get<std::vector<float>>()};
    if (record == Record::kBfloat16) {
      const size_t length = answer.at("stop").get<size_t>() + 1;  // with the end token
      read.greedy.resize(length);
      read.greedy_margin.resize(length);
    }
    golden.prompts.push_back(std::move(read));
  }
  return golden;
}

// Each prompt followed by its answer as one text, with nothing to generate.
eval::GoldenFile join_answers(eval::GoldenFile golden) {
  for (eval::GoldenPrompt& prompt : golden.prompts) {
    prompt.input_ids.insert(prompt.input_ids.end(), prompt.greedy.begin(), prompt.greedy.end());
    prompt.greedy.clear();
    prompt.greedy_margin.clear();
  }
  return golden;
}

class DemoModel {
 public:
  DemoModel(const std::string& name, backend::Compute compute)
      : checkpoint_(checkpoint::Checkpoint::open(kModels / name)),
        backend_(backend::make_cpu_backend({.threads = 1, .compute = compute})) {
    NoProgress progress;
    network_ = model::load_network(checkpoint_.config(), checkpoint_.weights(), *backend_, progress);
  }

  // Gives each prompt the logits of this model.
  void fill_logits(eval::GoldenFile& golden) const {
    for (eval::GoldenPrompt& prompt : golden.prompts) {
      engine::Sequence sequence(network_, *backend_,
                                {.tokens_max = static_cast<int64_t>(prompt.input_ids.size())});
      const auto logits = sequence.append(prompt.input_ids, engine::LogitRows::kAll);
      prompt.logits.assign(logits.begin(), logits.end());
    }
  }

  eval::GoldenResult check(const eval::GoldenFile& golden, const eval::GoldenBounds& bounds) const {
    return eval::check_golden(network_, *backend_, golden, {.bounds = bounds});
  }

 private:
  checkpoint::Checkpoint checkpoint_;
  std::unique_ptr<backend::Backend> backend_;
  model::Network network_;
};

TEST(DemoTest, F32GivesTheRecordedTokensAndMargins) {
  const DemoModel model("demo", backend::Compute::kF32);
  eval::GoldenFile golden = load_record(Record::kFloat32);
  ASSERT_EQ(golden.prompts.size(), 10U);
  model.fill_logits(golden);
  const eval::GoldenResult result = model.check(golden, {});
  EXPECT_EQ(result.greedy_tokens, 480);
  EXPECT_EQ(result.greedy_equal, result.greedy_tokens);
  for (size_t i = 0; i < result.prompts.size(); ++i) {
    EXPECT_LE(result.prompts[i].margin_difference_max, 1e-3) << "prompt " << i;
  }
}

class DemoBf16Test : public testing::TestWithParam<Record> {};

TEST_P(DemoBf16Test, GivesTheRecordedTokensWhereTheMarginIsClear) {
  const DemoModel model("demo", backend::Compute::kBf16);
  eval::GoldenFile golden = load_record(GetParam());
  model.fill_logits(golden);
  const eval::GoldenResult result = model.check(golden, {.margin_min = 0.25});
  EXPECT_GE(result.greedy_tokens, 300);
  for (size_t i = 0; i < result.prompts.size(); ++i) {
    EXPECT_EQ(result.prompts[i].greedy_wrong, 0) << "prompt " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Records, DemoBf16Test, testing::Values(Record::kFloat32, Record::kBfloat16),
                         [](const auto& instance) {
                           return instance.param == Record::kFloat32 ? "float32" : "bfloat16";
                         });

class DemoDivergenceTest : public testing::TestWithParam<std::string> {};

TEST_P(DemoDivergenceTest, Bf16StaysCloseToF32) {
  eval::GoldenFile golden = join_answers(load_record(Record::kFloat32));
  DemoModel(GetParam(), backend::Compute::kF32).fill_logits(golden);
  const DemoModel rounded(GetParam(), backend::Compute::kBf16);
  const eval::GoldenResult result = rounded.check(golden, {});
  EXPECT_LE(result.kl_mean, 5e-3);
  EXPECT_GT(result.kl_mean, 0);  // both modes computing the same would prove nothing
  RecordProperty("kl_mean", std::to_string(result.kl_mean));
}

INSTANTIATE_TEST_SUITE_P(Models, DemoDivergenceTest, testing::Values("demo", "demo-fp8"),
                         [](const auto& instance) { return instance.param == "demo" ? "bf16" : "fp8"; });

}  // namespace
}  // namespace beryl
