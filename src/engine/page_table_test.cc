#include "engine/page_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace beryl::engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Pages of 4 tokens, windows of 6.
class PageTableTest : public testing::Test {
 protected:
  PagePools pools{4, 6, 8, 8};
  std::vector<PageCopy> copies;
};

TEST_F(PageTableTest, TakesPagesAsTheTextGrows) {
  PageTable table(pools);
  EXPECT_EQ(table.need_for(5).full, 2);
  table.extend_to(5);
  EXPECT_THAT(table.tables().full, ElementsAre(0, 1));
  EXPECT_THAT(table.tables().sliding, ElementsAre(0, 1));
  EXPECT_EQ(table.need_for(8).full, 0);
  EXPECT_EQ(table.need_for(9).sliding, 1);
}

TEST_F(PageTableTest, RecyclesSlidingPagesBehindTheWindowOnly) {
  PageTable table(pools);
  table.extend_to(16);
  table.recycle_before(8);  // a row at 8 still sees 3
  EXPECT_EQ(pools.sliding.used(), 4);
  table.recycle_before(13);
  EXPECT_THAT(table.tables().sliding, ElementsAre(-1, -1, 2, 3));
  EXPECT_EQ(pools.sliding.used(), 2);
  EXPECT_EQ(pools.full.used(), 4);
  table.clear();
  EXPECT_EQ(pools.sliding.used(), 0);
  EXPECT_EQ(pools.full.used(), 0);
}

TEST_F(PageTableTest, ASnapshotOutlivesItsTable) {
  std::unique_ptr<Snapshot> snapshot;
  {
    PageTable table(pools);
    table.extend_to(16);
    snapshot = table.snapshot(12);
  }
  EXPECT_EQ(snapshot->length(), 12);
  EXPECT_THAT(snapshot->full(), ElementsAre(0, 1, 2));
  EXPECT_EQ(snapshot->first_sliding_page(), 1);  // a row at 12 sees 7
  EXPECT_THAT(snapshot->sliding(), ElementsAre(1, 2));
  EXPECT_EQ(pools.full.used(), 3);
  EXPECT_EQ(pools.sliding.used(), 2);
  const std::unique_ptr<Snapshot> clone = snapshot->clone();
  snapshot.reset();
  EXPECT_EQ(pools.full.used(), 3);
}

TEST_F(PageTableTest, ResumesAtAPageWithoutACopy) {
  PageTable first(pools);
  first.extend_to(12);
  const auto snapshot = first.snapshot(8);
  PageTable second(pools);
  EXPECT_EQ(second.need_for(12, *snapshot).full, 1);
  second.resume(*snapshot, copies);
  EXPECT_THAT(copies, IsEmpty());
  EXPECT_EQ(second.length(), 8);
  EXPECT_THAT(second.tables().full, ElementsAre(0, 1));
  EXPECT_THAT(second.tables().sliding, ElementsAre(0, 1));
  second.extend_to(9);
  EXPECT_THAT(second.tables().full, ElementsAre(0, 1, 3));
}

TEST_F(PageTableTest, ResumesWithinAPageInACopy) {
  PageTable first(pools);
  first.extend_to(16);
  const auto snapshot = first.snapshot(14);
  PageTable second(pools);
  EXPECT_EQ(second.need_for(14, *snapshot).full, 1);
  EXPECT_EQ(second.need_for(17, *snapshot).sliding, 2);
  second.resume(*snapshot, copies);
  EXPECT_THAT(second.tables().full, ElementsAre(0, 1, 2, 4));
  EXPECT_THAT(second.tables().sliding, ElementsAre(-1, -1, 2, 4));
  ASSERT_EQ(copies.size(), 2U);
  for (const PageCopy& copy : copies) {
    EXPECT_EQ(copy.from, 3);
    EXPECT_EQ(copy.to, 4);
  }
  EXPECT_NE(copies[0].kind, copies[1].kind);
  // Its own copy is held by it alone; the shared ones by both tables and the snapshot.
  EXPECT_EQ(pools.full.references(4), 1);
  EXPECT_EQ(pools.full.references(3), 2);
  EXPECT_EQ(pools.full.references(0), 3);
  second.clear();
  EXPECT_EQ(pools.full.references(4), 0);
  EXPECT_EQ(pools.full.references(0), 2);
}

}  // namespace
}  // namespace beryl::engine
