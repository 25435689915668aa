// Weights that stay in their files give the bits of those in memory, for every checkpoint in testdata.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "bit_equality_for_tests.h"
#include "checkpoint/checkpoint.h"
#include "model/network.h"

namespace beryl {
namespace {

namespace fs = std::filesystem;

const fs::path kCheckpoints = fs::path(BERYL_SOURCE_DIR) / "testdata" / "checkpoints";

std::vector<std::string> sound_checkpoints() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kCheckpoints)) {
    const fs::path golden = fs::path(BERYL_SOURCE_DIR) / "testdata" / "golden";
    const std::string name = entry.path().filename().string();
    if (fs::exists(golden / (name + ".safetensors"))) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

class WeightsInFilesTest : public testing::TestWithParam<std::string> {};

TEST_P(WeightsInFilesTest, SameBitsAsInMemory) {
  for (const backend::Compute compute : {backend::Compute::kBf16, backend::Compute::kF32}) {
    const std::string name = "testdata/checkpoints/" + GetParam();
    const Model in_memory(name, {.threads = 2, .compute = compute});
    const Model in_files(name, {.threads = 2, .compute = compute, .leaves_weights_in_files = true});
    const std::vector<int32_t> tokens = make_tokens(21, 3);
    const std::vector<float> expected =
        logits_alone(in_memory, tokens, {.chunk_tokens = 64, .tokens_per_page = 4});
    for (const int64_t chunk : {1, 12}) {
      expect_same_bits(logits_alone(in_files, tokens, {.chunk_tokens = chunk, .tokens_per_page = 4}),
                       expected, "chunks of " + std::to_string(chunk));
    }
  }
}

TEST_P(WeightsInFilesTest, TakesNoMemoryForThem) {
  const auto opened = checkpoint::Checkpoint::open(kCheckpoints / GetParam());
  const auto cpu = backend::make_cpu_backend({.leaves_weights_in_files = true});
  const auto in_memory = backend::make_cpu_backend({});
  EXPECT_EQ(model::resident_bytes(opened.config(), opened.weights(), *cpu), 0U);
  EXPECT_GT(model::resident_bytes(opened.config(), opened.weights(), *in_memory), 0U);
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, WeightsInFilesTest, testing::ValuesIn(sound_checkpoints()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
                           return name;
                         });

}  // namespace
}  // namespace beryl
