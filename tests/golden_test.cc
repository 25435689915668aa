// Every tiny checkpoint against its golden file: logits, streams between layers, greedy tokens, dequantised
// values.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "checkpoint/checkpoint.h"
#include "eval/golden.h"
#include "eval/golden_check.h"
#include "model/network.h"

namespace beryl {
namespace {

namespace fs = std::filesystem;

const fs::path kTestData = fs::path(BERYL_SOURCE_DIR) / "testdata";

// A checkpoint, loaded.
struct Loaded {
  Loaded(const std::string& name, backend::Compute compute)
      : checkpoint(checkpoint::Checkpoint::open(kTestData / "checkpoints" / name)),
        cpu(backend::make_cpu_backend({.threads = 1, .compute = compute})) {
    NoProgress progress;
    network = model::load_network(checkpoint.config(), checkpoint.weights(), *cpu, progress);
  }

  checkpoint::Checkpoint checkpoint;
  std::unique_ptr<backend::Backend> cpu;
  model::Network network;
};

std::vector<std::string> checkpoint_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kTestData / "checkpoints")) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The shapes that have experts.
bool is_moe_name(const std::string& name) {
  return name.starts_with("moe") || name.starts_with("wide");
}

// Remembers the experts of a pass, chunk after chunk, or forces those of an earlier one.
class ExpertTape final : public model::Observer {
 public:
  void on_experts(int64_t layer, const std::vector<int32_t>& experts) override {
    if (!is_replaying) recorded[layer] = experts;
  }
  std::span<const int32_t> forced_experts(int64_t layer) override {
    if (!is_replaying) return {};
    return recorded.at(layer);
  }

  bool is_replaying = false;
  std::map<int64_t, std::vector<int32_t>> recorded;  // by layer
};

class GoldenTest : public testing::TestWithParam<std::string> {
 protected:
  eval::GoldenFile golden() const {
    return eval::load_golden(kTestData / "golden" / (GetParam() + ".safetensors"));
  }
  bool is_moe() const { return is_moe_name(GetParam()); }
};

TEST_P(GoldenTest, F32MatchesEveryLogitAndStream) {
  Loaded loaded(GetParam(), backend::Compute::kF32);
  eval::GoldenOptions options = {
      .bounds = eval::default_bounds(backend::Compute::kF32, loaded.checkpoint.config())};
  options.hidden_tolerance = 5e-4;
  const eval::GoldenResult result = check_golden(loaded.network, *loaded.cpu, golden(), options);
  EXPECT_LE(result.logit_difference_max, 5e-4);
  EXPECT_EQ(result.greedy_wrong, 0);
  EXPECT_GT(result.greedy_tokens, 0);
  if (result.hidden_difference) {
    ADD_FAILURE() << "stream " << result.hidden_difference->hidden << " of prompt "
                  << result.hidden_difference->prompt << " is off by "
                  << result.hidden_difference->difference_max;
  }
  EXPECT_TRUE(result.passed);
}

TEST_P(GoldenTest, Bf16StaysCloseInDistribution) {
  Loaded loaded(GetParam(), backend::Compute::kBf16);
  // The routers of the random mixture-of-experts checkpoints have near ties, which rounding flips.
  const double kl_mean_max = is_moe() ? 0.15 : 5e-3;
  const eval::GoldenResult result = check_golden(loaded.network, *loaded.cpu, golden(), {.bounds = {}});
  EXPECT_LE(result.kl_mean, kl_mean_max);
  EXPECT_GT(result.kl_mean, 0);
}

class MoeGoldenTest : public GoldenTest {};

TEST_P(MoeGoldenTest, Bf16WithTheSameExpertsStaysCloser) {
  const eval::GoldenFile file = golden();
  std::vector<ExpertTape> tapes(file.prompts.size());
  eval::GoldenOptions options = {.bounds = {}};
  for (ExpertTape& tape : tapes) options.observers.push_back(&tape);
  Loaded exact(GetParam(), backend::Compute::kF32);
  check_golden(exact.network, *exact.cpu, file, options);
  for (ExpertTape& tape : tapes) {
    ASSERT_EQ(tape.recorded.size(), exact.network.layers.size());
    tape.is_replaying = true;
  }
  Loaded rounded(GetParam(), backend::Compute::kBf16);
  EXPECT_LE(check_golden(rounded.network, *rounded.cpu, file, options).kl_mean, 5e-3);
}

TEST_P(GoldenTest, DequantisedModulesHaveTheRecordedSha256) {
  const fs::path list = kTestData / "golden" / (GetParam() + ".dequant.json");
  const checkpoint::Checkpoint opened = checkpoint::Checkpoint::open(kTestData / "checkpoints" / GetParam());
  if (!fs::exists(list)) {
    EXPECT_FALSE(opened.quantization().is_present()) << "a quantised checkpoint needs " << list;
    return;
  }
  const std::vector<eval::GoldenModule> modules = eval::load_golden_modules(list);
  EXPECT_FALSE(modules.empty());
  for (const eval::ModuleMismatch& mismatch : eval::check_modules(opened.weights(), modules)) {
    ADD_FAILURE() << mismatch.name << ": " << mismatch.found;
  }
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<std::string> moe_names() {
  std::vector<std::string> names = checkpoint_names();
  std::erase_if(names, [](const std::string& name) { return !is_moe_name(name); });
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTest, testing::ValuesIn(checkpoint_names()), test_name);
INSTANTIATE_TEST_SUITE_P(All, MoeGoldenTest, testing::ValuesIn(moe_names()), test_name);

}  // namespace
}  // namespace beryl
