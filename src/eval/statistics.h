// What a share of right answers says, and whether two of them differ by more than chance.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace beryl::eval {

struct Interval {
  double low = 0;
  double high = 0;
};

// Right answers among questions that stand for many others.
struct Accuracy {
  int64_t right = 0;
  int64_t total = 0;

  double value() const;  // 0 without questions
  // Of the mean, from the sample's own deviation (n - 1); 0 for fewer than two questions.
  double standard_error() const;
  // Wilson's score interval at 95 %; it stays within [0, 1] and is right near its ends, too.
  Interval wilson() const;
};

// The same questions answered by two models.
struct PairedTable {
  int64_t both = 0;
  int64_t only_first = 0;
  int64_t only_second = 0;
  int64_t neither = 0;

  int64_t total() const { return both + only_first + only_second + neither; }
  // Of the second model's accuracy to the first's.
  double difference() const;
  // Of that difference, at 95 %, from the questions that only one answered rightly (Wald's for paired
  // shares).
  Interval difference_interval() const;
  // McNemar's exact test, two-sided: how likely as lopsided a split of those questions is if each of them is
  // equally likely to fall to either model.
  double mcnemar_p() const;
};

// Both of the same length.
PairedTable make_paired_table(const std::vector<bool>& first, const std::vector<bool>& second);

// One or two sentences for someone who does not know the tests.
std::string describe_verdict(const PairedTable& table, const std::string& first, const std::string& second);

// The value below which the share `q` of them lies, interpolated linearly between neighbours. `sorted`
// ascends and is not empty.
double quantile(std::span<const double> sorted, double q);

}  // namespace beryl::eval
