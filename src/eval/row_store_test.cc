#include "eval/row_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "base/error.h"

namespace beryl::eval {
namespace {

using ::testing::ElementsAre;

TEST(RowStoreTest, GivesRowsBack) {
  RowStore store(2, 3);
  store.add(std::vector<float>{1, 2});
  store.add(std::vector<float>{3, 4, 5, 6});
  EXPECT_EQ(store.size(), 3);
  const RowStore moved = std::move(store);
  std::vector<float> row(2);
  moved.read(2, row);
  EXPECT_THAT(row, ElementsAre(5, 6));
  moved.read(0, row);
  EXPECT_THAT(row, ElementsAre(1, 2));
}

TEST(RowStoreTest, SaysWhenTheDiskIsTooSmall) {
  try {
    const RowStore store(1 << 20, int64_t{1} << 38);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResource);
    EXPECT_THAT(error.message(), ::testing::HasSubstr("are free"));
  }
}

}  // namespace
}  // namespace beryl::eval
