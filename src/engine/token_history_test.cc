#include "engine/token_history.h"

#include <gtest/gtest.h>

#include <vector>

namespace beryl::engine {
namespace {

// Prompt 0 1 2, output 1 3 3 3: worked out by hand.
class TokenHistoryTest : public ::testing::Test {
 protected:
  TokenHistoryTest() {
    history_.add_prompt(std::vector<int32_t>{0, 1, 2, 1});
    for (const int32_t token : {1, 3, 3, 3}) history_.add_output(token);
  }
  std::vector<float> penalised(const SamplingParams& params) const {
    std::vector<float> logits{3, -3, 0, 6, 5};
    history_.penalise(params, logits);
    return logits;
  }

  TokenHistory history_;
};

TEST_F(TokenHistoryTest, RepetitionCountsPromptAndOutputAndAlwaysLowers) {
  EXPECT_EQ(penalised({.repetition_penalty = 1.5F}), (std::vector<float>{2, -4.5F, 0, 4, 5}));
  EXPECT_EQ(penalised({.repetition_penalty = 0.5F}), (std::vector<float>{6, -1.5F, 0, 12, 5}));
}

TEST_F(TokenHistoryTest, PresenceAndFrequencyCountTheOutputOnly) {
  EXPECT_EQ(penalised({.presence_penalty = 0.5F}), (std::vector<float>{3, -3.5F, 0, 5.5F, 5}));
  EXPECT_EQ(penalised({.frequency_penalty = 0.5F}), (std::vector<float>{3, -3.5F, 0, 4.5F, 5}));
  EXPECT_EQ(penalised({.frequency_penalty = -1}), (std::vector<float>{3, -2, 0, 9, 5}));
}

TEST_F(TokenHistoryTest, RepetitionActsBeforeTheOthers) {
  // Token 3: 6 / 2 - 3 * 1 - 1 = -1.  Token 1: -3 * 2 - 1 - 1 = -8.
  EXPECT_EQ(penalised({.repetition_penalty = 2, .presence_penalty = 1, .frequency_penalty = 1}),
            (std::vector<float>{1.5F, -8, 0, -1, 5}));
}

TEST(TokenHistoryPenaltiesTest, AreOffByDefault) {
  EXPECT_FALSE(has_penalties({}));
  EXPECT_TRUE(has_penalties({.repetition_penalty = 1.1F}));
  EXPECT_TRUE(has_penalties({.presence_penalty = 0.1F}));
  EXPECT_TRUE(has_penalties({.frequency_penalty = -0.1F}));
}

}  // namespace
}  // namespace beryl::engine
