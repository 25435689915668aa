#include "engine/pages.h"

#include <gtest/gtest.h>

namespace beryl::engine {
namespace {

TEST(PagePoolTest, TakesLowNumbersFirstAndCountsHolds) {
  PagePool pool(3);
  EXPECT_EQ(pool.take(), 0);
  EXPECT_EQ(pool.take(), 1);
  EXPECT_EQ(pool.free(), 1);
  pool.retain(0);
  pool.release(0);
  EXPECT_EQ(pool.references(0), 1);
  EXPECT_EQ(pool.used(), 2);
  pool.release(0);
  EXPECT_EQ(pool.used(), 1);
  EXPECT_EQ(pool.take(), 0);  // the one that was given back last
  EXPECT_EQ(pool.take(), 2);
  EXPECT_FALSE(pool.take().has_value());
  EXPECT_EQ(pool.total(), 3);
}

TEST(PagePoolsTest, FirstVisiblePageIsThatOfTheOldestKeyInTheWindow) {
  const PagePools pools(4, 6, 10, 10);
  EXPECT_EQ(pools.first_visible_page(0), 0);
  EXPECT_EQ(pools.first_visible_page(8), 0);   // sees 3 to 8
  EXPECT_EQ(pools.first_visible_page(9), 1);   // sees 4 to 9
  EXPECT_EQ(pools.first_visible_page(13), 2);  // sees 8 to 13
  EXPECT_EQ(pools.pages_for(0), 0);
  EXPECT_EQ(pools.pages_for(4), 1);
  EXPECT_EQ(pools.pages_for(5), 2);
}

}  // namespace
}  // namespace beryl::engine
