#include "text/merge_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/error.h"
#include "text/vocabulary.h"

namespace beryl::text {
namespace {

TEST(MergeTable, EqualsAMap) {
  std::mt19937 random(1);
  for (const uint32_t size : {0U, 1U, 7U, 1000U, 50000U}) {
    std::map<std::pair<int32_t, int32_t>, uint32_t> expected;
    std::vector<Merge> merges;
    const auto random_id = [&] { return static_cast<int32_t>(random() % (size < 10 ? 4 : 300)); };
    while (merges.size() < size) {
      const Merge merge{random_id(), random_id(), static_cast<int32_t>(random() % kVocabularySizeMax)};
      if (expected.emplace(std::pair(merge.left, merge.right), merges.size()).second) merges.push_back(merge);
    }
    const MergeTable table(merges);
    EXPECT_EQ(table.size(), size);
    for (int32_t left = 0; left < 301; ++left) {
      for (int32_t right = 0; right < 301; ++right) {
        const auto place = expected.find({left, right});
        const uint32_t rank = place == expected.end() ? MergeTable::kNoMerge : place->second;
        ASSERT_EQ(table.find_rank(left, right), rank);
        if (rank != MergeTable::kNoMerge) {
          ASSERT_EQ(table.product(rank), merges[rank].product);
        }
      }
    }
  }
}

TEST(MergeTable, TakesTheLargestIds) {
  const int32_t last = static_cast<int32_t>(kVocabularySizeMax) - 1;
  const std::vector<Merge> merges = {{last, last, last}, {0, last, 1}, {last, 0, 2}};
  const MergeTable table(merges);
  for (uint32_t rank = 0; rank < merges.size(); ++rank) {
    EXPECT_EQ(table.find_rank(merges[rank].left, merges[rank].right), rank);
  }
  EXPECT_EQ(table.find_rank(0, 0), MergeTable::kNoMerge);
  EXPECT_EQ(table.find_rank(last, last - 1), MergeTable::kNoMerge);
}

TEST(MergeTable, RefusesAPairThatIsThereTwice) {
  const std::vector<Merge> merges = {{1, 2, 3}, {2, 1, 4}, {1, 2, 5}};
  try {
    const MergeTable table(merges);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "merges 0 and 2 join the same pair");
  }
}

// A file made so that all pairs have the same slot would make loading quadratic.
TEST(MergeTable, RefusesPairsMadeToCollide) {
  constexpr uint64_t kSlotMask = 2047;
  std::vector<Merge> merges;
  for (int32_t left = 0; merges.size() < 600; ++left) {
    for (int32_t right = 0; right < 4096 && merges.size() < 600; ++right) {
      const uint64_t pair = static_cast<uint64_t>(left) << 20 | static_cast<uint64_t>(right);
      if ((hash_word(pair) & kSlotMask) == 0) merges.push_back({left, right, 0});
    }
  }
  try {
    const MergeTable table(merges);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "merge 513 collides with too many others");
  }
}

TEST(MergeTable, RefusesTooMany) {
  const std::vector<Merge> merges(kMergeCountMax + 1);
  EXPECT_THROW(MergeTable{merges}, Error);
}

}  // namespace
}  // namespace beryl::text
