// The numbers are those that tools/make_statistics_vectors.py prints with scipy 1.17.1, statsmodels 0.15.0
// and numpy 2.4.6.
#include "eval/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace beryl::eval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(AccuracyTest, ErrorsAndIntervalsAreThoseOfStatsmodels) {
  struct Case {
    int64_t right, total;
    double error, low, high;
  };
  const std::vector<Case> cases = {
      {194, 200, 0.0120926074846947, 0.936105707545481, 0.986179685659889},
      {1173, 1209, 0.00489035614769802, 0.959052956292059, 0.978414996943611},
      {1169, 1209, 0.00514609125510198, 0.955261878321214, 0.975609994328805},
      {0, 10, 0, 0, 0.277532799862889},
      {10, 10, 0, 0.722467200137111, 1},
      {1, 2, 0.5, 0.0945312057342307, 0.905468794265769},
      {5, 1319, 0.00169270074015018, 0.00162023596493457, 0.00884319389538574},
  };
  for (const Case& each : cases) {
    const Accuracy accuracy = {.right = each.right, .total = each.total};
    EXPECT_NEAR(accuracy.standard_error(), each.error, 1e-14);
    EXPECT_NEAR(accuracy.wilson().low, each.low, 1e-13);
    EXPECT_NEAR(accuracy.wilson().high, each.high, 1e-13);
  }
}

TEST(PairedTableTest, TestAndIntervalAreThoseOfStatsmodelsAndNumpy) {
  struct Case {
    PairedTable table;
    double p, difference, low, high;
  };
  const std::vector<Case> cases = {
      {{190, 4, 3, 3}, 1, -0.005, -0.0309186247950945, 0.0209186247950945},
      {{150, 20, 5, 25}, 0.00407731533050537, -0.075, -0.12288392980533, -0.0271160701946696},
      {{0, 0, 0, 7}, 1, 0, 0, 0},
      {{5, 1, 0, 2}, 1, -0.125, -0.354172303767662, 0.104172303767662},
      {{900, 60, 90, 269}, 0.0175976919287858, 0.0227445034116755, 0.00458688478023428, 0.0409021220431167},
      {{100, 0, 12, 3}, 0.00048828125, 0.104347826086957, 0.0484737228538823, 0.160221929320031},
      {{40, 700, 600, 10}, 0.00601579386104494, -0.0740740740740741, -0.126271027332151, -0.0218771208159968},
  };
  for (const Case& each : cases) {
    EXPECT_NEAR(each.table.mcnemar_p(), each.p, 1e-11);
    EXPECT_NEAR(each.table.difference(), each.difference, 1e-14);
    EXPECT_NEAR(each.table.difference_interval().low, each.low, 1e-13);
    EXPECT_NEAR(each.table.difference_interval().high, each.high, 1e-13);
  }
}

TEST(PairedTableTest, CountsPairs) {
  const PairedTable table =
      make_paired_table({true, true, false, false, true}, {true, false, true, false, true});
  EXPECT_EQ(table.both, 2);
  EXPECT_EQ(table.only_first, 1);
  EXPECT_EQ(table.only_second, 1);
  EXPECT_EQ(table.neither, 1);
}

TEST(VerdictTest, SaysWhatTheTestSays) {
  const auto verdict = [](const PairedTable& table) { return describe_verdict(table, "A", "B"); };
  EXPECT_THAT(verdict({150, 20, 5, 25}), AllOf(HasSubstr("B is worse"), HasSubstr("0.0041")));
  EXPECT_THAT(verdict({100, 0, 12, 3}), HasSubstr("B is better"));
  EXPECT_THAT(verdict({190, 4, 3, 3}), AllOf(HasSubstr("No difference can be told from chance (p = 1)"),
                                             HasSubstr("-0.50 points, and between -3.09 and +2.09")));
  EXPECT_THAT(verdict({5, 0, 0, 2}), HasSubstr("exactly the same 5 of 7"));
  EXPECT_THAT(verdict({}), HasSubstr("no questions"));
}

TEST(QuantileTest, InterpolatesAsNumpy) {
  const std::vector<double> sorted = {1.0, 1.5, 2.6, 3.0, 4.0, 5.0, 9.0};
  EXPECT_DOUBLE_EQ(quantile(sorted, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(sorted, 0.5), 3);
  EXPECT_NEAR(quantile(sorted, 0.9), 6.6, 1e-12);
  EXPECT_NEAR(quantile(sorted, 0.99), 8.76, 1e-12);
  EXPECT_DOUBLE_EQ(quantile(sorted, 1), 9);
}

}  // namespace
}  // namespace beryl::eval
