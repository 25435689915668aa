// The same prompt gives the same bits whatever the threads, the chunks it is fed in and the size of the
// pages.

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "checkpoint/checkpoint.h"
#include "engine/sequence.h"
#include "model/network.h"

namespace beryl {
namespace {

namespace fs = std::filesystem;

struct Feeding {
  int threads;
  int64_t chunk_tokens;
  int64_t tokens_per_page;
};

// Longer than the sliding windows of the tiny checkpoints.
constexpr size_t kPromptTokens = 150;

std::vector<float> logits_of(const checkpoint::Checkpoint& checkpoint, backend::Compute compute,
                             const Feeding& feeding) {
  const auto backend = backend::make_cpu_backend({.threads = feeding.threads, .compute = compute});
  NoProgress progress;
  const model::Network network =
      model::load_network(checkpoint.config(), checkpoint.weights(), *backend, progress);
  engine::Sequence sequence(network, *backend,
                            {.tokens_max = kPromptTokens,
                             .tokens_per_page = feeding.tokens_per_page,
                             .chunk_tokens = feeding.chunk_tokens});
  std::vector<int32_t> prompt(kPromptTokens);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<int32_t>(7 + i * 37 % 480);
  const auto logits = sequence.append(prompt, engine::LogitRows::kAll);
  return {logits.begin(), logits.end()};
}

class BitEqualityTest : public testing::TestWithParam<std::tuple<std::string, backend::Compute>> {};

TEST_P(BitEqualityTest, ThreadsChunksAndPagesChangeNothing) {
  const auto& [name, compute] = GetParam();
  const auto checkpoint = checkpoint::Checkpoint::open(fs::path(BERYL_SOURCE_DIR) / name);
  const std::vector<float> expected = logits_of(checkpoint, compute, {1, 256, 16});
  for (const Feeding& feeding :
       {Feeding{2, 256, 16}, Feeding{3, 64, 4}, Feeding{1, 7, 1}, Feeding{2, 1, 16}}) {
    const std::vector<float> actual = logits_of(checkpoint, compute, feeding);
    ASSERT_EQ(actual.size(), expected.size());
    EXPECT_EQ(0, std::memcmp(actual.data(), expected.data(), expected.size() * sizeof(float)))
        << feeding.threads << " threads, chunks of " << feeding.chunk_tokens << ", pages of "
        << feeding.tokens_per_page;
  }
}

INSTANTIATE_TEST_SUITE_P(All, BitEqualityTest,
                         testing::Combine(testing::Values("models/demo-fp8", "testdata/checkpoints/moe-bf16",
                                                          "testdata/checkpoints/ple-bf16",
                                                          "testdata/checkpoints/dense-bf16"),
                                          testing::Values(backend::Compute::kBf16, backend::Compute::kF32)));

}  // namespace
}  // namespace beryl
