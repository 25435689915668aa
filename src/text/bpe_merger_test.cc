#include "text/bpe_merger.h"

#include <gtest/gtest.h>

#include <random>

namespace beryl::text {
namespace {

// The rule, word for word.
std::vector<int32_t> merge_slowly(std::vector<int32_t> symbols, const MergeTable& merges) {
  while (true) {
    uint32_t best_rank = MergeTable::kNoMerge;
    size_t best = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const uint32_t rank = merges.find_rank(symbols[i], symbols[i + 1]);
      if (rank < best_rank) {
        best_rank = rank;
        best = i;
      }
    }
    if (best_rank == MergeTable::kNoMerge) return symbols;
    symbols[best] = merges.product(best_rank);
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(BpeMerger, PrefersTheLowestRankThenTheLeftmost) {
  const std::vector<Merge> merges = {{2, 3, 23}, {1, 2, 12}, {1, 1, 11}, {11, 1, 111}};
  const MergeTable table(merges);
  BpeMerger merger(table);
  const auto merged = [&](std::vector<int32_t> symbols) {
    merger.merge(symbols);
    return symbols;
  };
  EXPECT_EQ(merged({}), (std::vector<int32_t>{}));
  EXPECT_EQ(merged({1}), (std::vector<int32_t>{1}));
  EXPECT_EQ(merged({1, 2}), (std::vector<int32_t>{12}));
  EXPECT_EQ(merged({1, 2, 3}), (std::vector<int32_t>{1, 23}));
  EXPECT_EQ(merged({1, 1, 1}), (std::vector<int32_t>{111}));
  EXPECT_EQ(merged({1, 1, 1, 1}), (std::vector<int32_t>{11, 11}));
  EXPECT_EQ(merged({3, 2, 1}), (std::vector<int32_t>{3, 2, 1}));
}

// Made-up merges over few symbols, where equal and competing ranks abound; lengths on both sides of the
// border between the two ways of merging.
TEST(BpeMerger, EqualsTheRuleOnRandomMerges) {
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    std::vector<Merge> merges;
    std::vector<std::vector<bool>> used(40, std::vector<bool>(40));
    const size_t symbol_count = 1 + random() % 4;
    for (size_t i = 0; i < 30; ++i) {
      const size_t left = random() % (symbol_count + i / 2);
      const size_t right = random() % (symbol_count + i / 2);
      if (used[left][right]) continue;
      used[left][right] = true;
      merges.push_back({static_cast<int32_t>(left), static_cast<int32_t>(right),
                        static_cast<int32_t>(random() % (symbol_count + i / 2 + 1))});
    }
    std::shuffle(merges.begin(), merges.end(), random);
    const MergeTable table(merges);
    BpeMerger merger(table);
    for (const size_t length : {3U, 20U, 47U, 48U, 49U, 120U}) {
      std::vector<int32_t> symbols(length);
      for (int32_t& symbol : symbols) symbol = static_cast<int32_t>(random() % symbol_count);
      const std::vector<int32_t> expected = merge_slowly(symbols, table);
      merger.merge(symbols);
      ASSERT_EQ(symbols, expected) << "round " << round << ", length " << length;
    }
  }
}

}  // namespace
}  // namespace beryl::text
