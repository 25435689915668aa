// The same prompt gives the same bits whatever the threads, the chunks it is fed in, the size of the pages,
// and whatever else is in the batch or was in the cache before.

#include "bit_equality_for_tests.h"

#include <gtest/gtest.h>

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace beryl {
namespace {

class BitEqualityTest : public testing::TestWithParam<Case> {
 protected:
  void compare(size_t tokens, const Feeding& reference, const std::vector<Feeding>& feedings) {
    const std::vector<int32_t> prompt = make_tokens(tokens, 0);
    std::map<int, Model> models;  // by threads
    const auto logits_of = [&](const Feeding& feeding) {
      const auto [model, is_new] = models.try_emplace(feeding.threads, GetParam(), feeding.threads);
      return logits_alone(model->second, prompt, feeding);
    };
    const std::vector<float> expected = logits_of(reference);
    for (const Feeding& feeding : feedings) {
      expect_same_bits(logits_of(feeding), expected,
                       std::to_string(feeding.threads) + " threads, chunks of " +
                           std::to_string(feeding.chunk_tokens) + ", pages of " +
                           std::to_string(feeding.tokens_per_page));
    }
  }
};

// Longer than the sliding windows of the checkpoints.
TEST_P(BitEqualityTest, ThreadsChunksAndPagesChangeNothing) {
  compare(150, {1, 256, 16}, {{2, 256, 16}, {3, 64, 4}, {1, 7, 1}, {2, 1, 16}});
}

INSTANTIATE_TEST_SUITE_P(All, BitEqualityTest,
                         testing::Combine(testing::Values("models/demo-fp8", "testdata/checkpoints/moe-bf16",
                                                          "testdata/checkpoints/ple-bf16",
                                                          "testdata/checkpoints/dense-bf16"),
                                          testing::Values(backend::Compute::kBf16, backend::Compute::kF32)));

// Longer than a section of attention, which is 512 positions.
class LongBitEqualityTest : public BitEqualityTest {};

TEST_P(LongBitEqualityTest, ThreadsChunksAndPagesChangeNothingAcrossSections) {
  compare(720, {1, 720, 16}, {{2, 720, 4}, {3, 64, 1}, {2, 7, 16}, {1, 1, 4}});
}

INSTANTIATE_TEST_SUITE_P(All, LongBitEqualityTest,
                         testing::Combine(testing::Values("testdata/checkpoints/moe-ct-fp8-dynamic",
                                                          "testdata/checkpoints/ple-bf16"),
                                          testing::Values(backend::Compute::kBf16, backend::Compute::kF32)));

// ---- Several sequences in one batch ----

class BatchBitEqualityTest : public testing::TestWithParam<Case> {
 protected:
  // One prompt of each length, and what each gives alone.
  void make_prompts(const Model& model, const std::vector<size_t>& lengths) {
    for (const size_t length : lengths) {
      prompts.push_back(make_tokens(length, prompts.size()));
      alone.push_back(logits_alone(model, prompts.back(), {1, 256, 16}));
    }
  }

  std::vector<std::vector<int32_t>> prompts;
  std::vector<std::vector<float>> alone;
};

TEST_P(BatchBitEqualityTest, TwoSequences) {
  const Model model(GetParam(), 2);
  make_prompts(model, {110, 70});
  SharedCache shared(model, prompts);
  for (const auto& counts : std::vector<std::vector<size_t>>{{30, 0}, {40, 25}, {1, 30}, {1, 1}, {38, 14}}) {
    shared.feed(counts, 1, alone);
  }
}

// Prompts and single tokens in one batch. Most rows need no logits, so later layers run on few.
TEST_P(BatchBitEqualityTest, ThreeSequencesOfWhichSomeRowsNeedLogits) {
  const Model model(GetParam(), 3);
  make_prompts(model, {60, 90, 33});
  SharedCache shared(model, prompts);
  for (const auto& counts :
       std::vector<std::vector<size_t>>{{20, 1, 0}, {1, 50, 1}, {1, 1, 30}, {1, 1, 1}, {37, 37, 1}}) {
    shared.feed(counts, 5, alone);
  }
}

// Pages that lie before the window are taken away from one sequence and given to another, which overwrites
// them.
TEST_P(BatchBitEqualityTest, SlidingPagesBehindTheWindowAreFree) {
  const Model model(GetParam(), 1);
  make_prompts(model, {120, 40});
  SharedCache shared(model, prompts);
  shared.feed({118, 0}, 1, alone);
  Stream& first = shared.streams[0];
  Stream& second = shared.streams[1];
  const auto oldest_visible = static_cast<int64_t>(first.fed) - model.network.config.sliding_window + 1;
  const auto free_pages = static_cast<size_t>(oldest_visible / kPageTokens);
  ASSERT_GE(free_pages, 10U);
  for (size_t page = 0; page < free_pages; ++page) {
    second.sliding[page] = std::exchange(first.sliding[page], -1);
  }
  shared.feed({1, 40}, 1, alone);
  shared.feed({1, 0}, 1, alone);
}

INSTANTIATE_TEST_SUITE_P(All, BatchBitEqualityTest,
                         testing::Combine(testing::Values("models/demo-fp8", "testdata/checkpoints/moe-bf16",
                                                          "testdata/checkpoints/ple-bf16",
                                                          "testdata/checkpoints/dense-bf16"),
                                          testing::Values(backend::Compute::kBf16, backend::Compute::kF32)));

}  // namespace
}  // namespace beryl
