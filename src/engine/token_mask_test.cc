#include "engine/token_mask.h"

#include <gtest/gtest.h>

namespace beryl::engine {
namespace {

TEST(TokenMaskTest, AllowsExactlyWhatItWasToldTo) {
  for (const int32_t vocab_size : {1, 63, 64, 65, 1000}) {
    TokenMask mask(vocab_size);
    for (int32_t token = 0; token < vocab_size; token += 3) mask.allow(token);
    for (int32_t token = 0; token < vocab_size; token += 6) mask.forbid(token);
    for (int32_t token = 0; token < vocab_size; ++token) EXPECT_EQ(mask.allows(token), token % 6 == 3);
  }
}

TEST(TokenMaskTest, WordsHoldOneBitPerToken) {
  TokenMask mask(130);
  mask.allow(0);
  mask.allow(65);
  mask.allow(129);
  ASSERT_EQ(mask.words().size(), 3U);
  EXPECT_EQ(mask.words()[0], 1U);
  EXPECT_EQ(mask.words()[1], 2U);
  EXPECT_EQ(mask.words()[2], 2U);
}

TEST(TokenMaskTest, TakesFewerWordsThanItHas) {
  TokenMask mask(130);
  mask.allow(3);
  mask.allow(129);
  mask.assign(std::vector<uint64_t>{1, 2});
  EXPECT_EQ(std::vector<uint64_t>(mask.words().begin(), mask.words().end()),
            (std::vector<uint64_t>{1, 2, 0}));
}

}  // namespace
}  // namespace beryl::engine
