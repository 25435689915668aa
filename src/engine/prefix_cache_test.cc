#include "engine/prefix_cache.h"

#include <gtest/gtest.h>

#include <vector>

namespace beryl::engine {
namespace {

using Tokens = std::vector<int32_t>;

// Pages of 2 tokens, windows of 4.
class PrefixCacheTest : public testing::Test {
 protected:
  // As if the tokens had been computed.
  void remember(PrefixCache& cache, const Tokens& tokens, std::string_view salt = "") {
    PageTable table(pools);
    table.extend_to(static_cast<int64_t>(tokens.size()));
    cache.insert(salt, tokens, table.snapshot(table.length()));
  }
  static int64_t found(PrefixCache& cache, const Tokens& tokens, std::string_view salt = "") {
    const auto snapshot = cache.find(salt, tokens, static_cast<int64_t>(tokens.size()));
    return snapshot ? snapshot->length() : 0;
  }

  PagePools pools{2, 4, 32, 32};
};

TEST_F(PrefixCacheTest, FindsTheLongestBeginning) {
  PrefixCache cache(pools, 32);
  remember(cache, {1, 2});
  remember(cache, {1, 2, 3, 4});
  remember(cache, {1, 2, 9});
  EXPECT_EQ(found(cache, {1, 2, 3, 4, 5}), 4);
  EXPECT_EQ(found(cache, {1, 2, 3}), 2);
  EXPECT_EQ(found(cache, {1, 2, 9, 9}), 3);
  EXPECT_EQ(found(cache, {1}), 0);
  EXPECT_EQ(found(cache, {2, 1, 3, 4}), 0);
  EXPECT_EQ(cache.find("", Tokens{1, 2, 3, 4}, 3)->length(), 2);  // no longer than asked for
}

TEST_F(PrefixCacheTest, KeepsSaltsApart) {
  PrefixCache cache(pools, 32);
  remember(cache, {1, 2}, "a");
  EXPECT_EQ(found(cache, {1, 2, 3}, "a"), 2);
  EXPECT_EQ(found(cache, {1, 2, 3}, "b"), 0);
  EXPECT_EQ(found(cache, {1, 2, 3}), 0);
}

TEST_F(PrefixCacheTest, KeepsOneSnapshotOfTheSameTokens) {
  PrefixCache cache(pools, 32);
  remember(cache, {1, 2});
  const int64_t used = pools.full.used();
  remember(cache, {1, 2});
  EXPECT_EQ(cache.size(), 1);
  EXPECT_EQ(pools.full.used(), used);
  EXPECT_EQ(found(cache, {1, 2}), 2);
  EXPECT_EQ(found(cache, {1}), 0);
}

TEST_F(PrefixCacheTest, ForgetsWhatWasNotUsedForLongest) {
  PrefixCache cache(pools, 32);
  remember(cache, {1, 1});
  remember(cache, {2, 2});
  remember(cache, {3, 3});
  EXPECT_EQ(found(cache, {1, 1}), 2);  // a use
  EXPECT_TRUE(cache.evict_one());
  EXPECT_EQ(found(cache, {2, 2}), 0);
  EXPECT_EQ(found(cache, {1, 1}), 2);
  EXPECT_EQ(cache.evictions(), 1U);
  cache.clear();
  EXPECT_FALSE(cache.evict_one());
  EXPECT_EQ(pools.full.used() + pools.sliding.used(), 0);
}

TEST_F(PrefixCacheTest, HoldsNoMoreSlidingPagesThanAllowed) {
  PrefixCache cache(pools, 5);
  for (int32_t i = 0; i < 10; ++i) remember(cache, {i, i, i, i});
  EXPECT_LE(cache.sliding_pages(), 5);
  EXPECT_EQ(cache.size(), 2);
  EXPECT_EQ(found(cache, {9, 9, 9, 9}), 4);
  EXPECT_EQ(found(cache, {0, 0, 0, 0}), 0);
}

TEST_F(PrefixCacheTest, CountsPagesThatSnapshotsShareOnce) {
  PrefixCache cache(pools, 32);
  PageTable table(pools);
  table.extend_to(6);
  const Tokens tokens = {1, 2, 3, 4, 5, 6};
  cache.insert("", std::span(tokens).first(4), table.snapshot(4));
  cache.insert("", tokens, table.snapshot(6));
  EXPECT_EQ(cache.full_pages(), 3);
  EXPECT_EQ(cache.sliding_pages(), 3);
  EXPECT_EQ(cache.reclaimable_full_pages(), 0);  // the table holds them as well
  table.clear();
  EXPECT_EQ(cache.reclaimable_full_pages(), 3);
  const auto held = cache.find("", tokens, 4);
  EXPECT_EQ(cache.reclaimable_full_pages(), 1);
}

}  // namespace
}  // namespace beryl::engine
