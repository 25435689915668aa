#include "checkpoint/near_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace beryl::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("saturday", "sunday"), 3U);
  EXPECT_EQ(edit_distance("gemma", "gema"), 1U);
}

TEST(EditDistance, IgnoresCase) {
  EXPECT_EQ(edit_distance("gemma-4-26b-a4b", "Gemma-4-26B-A4B"), 0U);
}

TEST(NearNames, GivesTheNearestFirst) {
  const std::vector<std::string> names = {"google/gemma-4-31B-it", "google/gemma-4-26B-A4B-it",
                                          "other/thing"};
  EXPECT_THAT(find_near_names("google/gemma-4-26b-a4b", names),
              ElementsAre("google/gemma-4-26B-A4B-it", "google/gemma-4-31B-it"));
  EXPECT_THAT(find_near_names("google/gemma-4-31B-ti", names), ElementsAre("google/gemma-4-31B-it"));
  EXPECT_THAT(find_near_names("gogle/gemma-4-31B-it", names), ElementsAre("google/gemma-4-31B-it"));
}

TEST(NearNames, GivesWhatTheNameBegins) {
  const std::vector<std::string> names = {"demo-nvfp4", "demo", "model"};
  EXPECT_THAT(find_near_names("dem", names), ElementsAre("demo", "demo-nvfp4"));
}

TEST(NearNames, GivesNothingForStrangers) {
  const std::vector<std::string> names = {"demo", std::string(1000, 'x')};
  EXPECT_THAT(find_near_names("quite/another", names), IsEmpty());
  EXPECT_THAT(find_near_names("", names), IsEmpty());
  EXPECT_THAT(find_near_names(std::string(1000, 'x'), names), IsEmpty());
}

TEST(NearNames, GivesThreeAtMost) {
  const std::vector<std::string> names = {"demo1", "demo2", "demo3", "demo4"};
  EXPECT_THAT(find_near_names("demo", names), ElementsAre("demo1", "demo2", "demo3"));
}

}  // namespace
}  // namespace beryl::checkpoint
