// Figures worked out by hand from the shapes of the tiny checkpoints: 4 layers of width 96; the sliding ones
// have a window of 8 and 2 heads of 32 keys and values, the full ones 1 of 64; 8 experts of width 32, of
// which 4 take part in a token; a vocabulary of 512.
#include "engine/memory_figures.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "backend/cpu/cpu_backend.h"
#include "checkpoint/checkpoint_editor_for_tests.h"

namespace beryl::engine {
namespace {

using backend::Compute;
using checkpoint::Checkpoint;
using checkpoint::CheckpointEditor;

// Of the router, whose 8 rows are kept as 16.
constexpr uint64_t kRouterBytes = 4 * 16 * 96 * 2;
constexpr uint64_t kEmbeddingBytes = 512 * 96 * 2;
constexpr uint64_t kAttentionBytes = 184'320 * 2;
constexpr uint64_t kMlpBytes = 73'728 * 2;
constexpr uint64_t kExpertBytes = 294'912 * 2;

std::unique_ptr<backend::Backend> make_backend(Compute compute = Compute::kBf16) {
  return backend::make_cpu_backend({.threads = 1, .compute = compute});
}

WeightFigures weights_of(const Checkpoint& checkpoint) {
  return weight_figures(checkpoint.config(), checkpoint.weights(), *make_backend());
}

TEST(MemoryFiguresTest, CountsTheExpertsOfATokenOnly) {
  const WeightFigures figures = weights_of(CheckpointEditor("moe-bf16").open());
  const uint64_t without = kEmbeddingBytes + kAttentionBytes + kMlpBytes + kRouterBytes;
  EXPECT_EQ(figures.resident_bytes, without + kExpertBytes);
  EXPECT_EQ(figures.bytes_per_token, without + kExpertBytes / 2);
}

TEST(MemoryFiguresTest, CountsOneRowOfATable) {
  CheckpointEditor editor("moe-bf16");
  const WeightFigures tied = weights_of(editor.open());
  editor.put("lm_head.weight", formats::DType::kBf16, {512, 96});
  const WeightFigures apart = weights_of(editor.open());
  EXPECT_EQ(apart.resident_bytes, tied.resident_bytes + kEmbeddingBytes);
  EXPECT_EQ(apart.bytes_per_token, tied.bytes_per_token + 96 * 2);
}

TEST(MemoryFiguresTest, CountsKeysAndValuesOfATokenByKind) {
  const Checkpoint checkpoint = CheckpointEditor("moe-bf16").open();
  const CacheFigures figures = cache_figures(checkpoint.config(), *make_backend());
  EXPECT_EQ(figures.sliding_bytes_per_token, 2U * 2 * 2 * 32 * 2);
  EXPECT_EQ(figures.full_bytes_per_token, 2U * 2 * 1 * 64 * 2);
  const CacheFigures reference = cache_figures(checkpoint.config(), *make_backend(Compute::kF32));
  EXPECT_EQ(reference.sliding_bytes_per_token, 2 * figures.sliding_bytes_per_token);
  EXPECT_EQ(reference.full_bytes_per_token, 2 * figures.full_bytes_per_token);
}

TEST(MemoryFiguresTest, FindsTheLongestContextThatFits) {
  const Checkpoint checkpoint = CheckpointEditor("moe-bf16").open();
  const auto backend = make_backend();
  const auto longest = [&](uint64_t bytes) {
    return context_that_fits(checkpoint.config(), *backend, bytes);
  };
  const uint64_t page = cache_bytes(checkpoint.config(), *backend, 1);
  EXPECT_EQ(cache_bytes(checkpoint.config(), *backend, 16), page);
  EXPECT_GT(cache_bytes(checkpoint.config(), *backend, 17), page);
  EXPECT_EQ(longest(0), 0);
  EXPECT_EQ(longest(page - 1), 0);
  EXPECT_EQ(longest(page), 16);
  const uint64_t all = cache_bytes(checkpoint.config(), *backend, 512);
  EXPECT_LT(longest(all - 1), 512);
  EXPECT_EQ(longest(all), 512);
  EXPECT_EQ(longest(uint64_t{1} << 40), 512);
}

TEST(MemoryFiguresTest, ReadsAWindowOfSlidingLayersAndAllOfFullOnes) {
  const Checkpoint checkpoint = CheckpointEditor("moe-bf16").open();
  const auto backend = make_backend();
  EXPECT_EQ(cache_bytes_read(checkpoint.config(), *backend, 5), 5U * (512 + 512));
  EXPECT_EQ(cache_bytes_read(checkpoint.config(), *backend, 20), 8U * 512 + 20U * 512);
}

TEST(MemoryFiguresTest, LayersThatReuseACacheReadItAgain) {
  const Checkpoint checkpoint = CheckpointEditor("ple-bf16").open();
  const auto backend = make_backend();
  const CacheFigures held = cache_figures(checkpoint.config(), *backend);
  EXPECT_GT(cache_bytes_read(checkpoint.config(), *backend, 1),
            held.sliding_bytes_per_token + held.full_bytes_per_token);
}

}  // namespace
}  // namespace beryl::engine
