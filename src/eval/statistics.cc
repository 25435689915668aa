#include "eval/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace beryl::eval {
namespace {

// The normal distribution's quantile of 97.5 %.
constexpr double kZ = 1.959963984540054;
constexpr double kSignificance = 0.05;

double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// log(n choose k) - n log 2
double log_binomial_half(int64_t n, int64_t k) {
  const auto gamma = [](int64_t value) { return std::lgamma(static_cast<double>(value + 1)); };
  return gamma(n) - gamma(k) - gamma(n - k) - static_cast<double>(n) * std::log(2.0);
}

}  // namespace

double Accuracy::value() const {
  return share(right, total);
}

double Accuracy::standard_error() const {
  if (total < 2) return 0;
  const double p = value();
  return std::sqrt(p * (1 - p) / static_cast<double>(total - 1));
}

Interval Accuracy::wilson() const {
  if (total == 0) return {0, 1};
  const auto n = static_cast<double>(total);
  const double p = value();
  const double spread = kZ * kZ / n;
  const double center = (p + spread / 2) / (1 + spread);
  const double half = kZ / (1 + spread) * std::sqrt(p * (1 - p) / n + spread / (4 * n));
  return {right == 0 ? 0 : std::max(0.0, center - half), right == total ? 1 : std::min(1.0, center + half)};
}

double PairedTable::difference() const {
  return share(only_second - only_first, total());
}

Interval PairedTable::difference_interval() const {
  if (total() == 0) return {-1, 1};
  const auto n = static_cast<double>(total());
  const auto lopsided = static_cast<double>(only_second - only_first);
  const auto discordant = static_cast<double>(only_second + only_first);
  const double error = std::sqrt(std::max(0.0, discordant - lopsided * lopsided / n)) / n;
  return {std::max(-1.0, difference() - kZ * error), std::min(1.0, difference() + kZ * error)};
}

double PairedTable::mcnemar_p() const {
  const int64_t n = only_first + only_second;
  const int64_t fewer = std::min(only_first, only_second);
  double tail = 0;
  for (int64_t k = 0; k <= fewer; ++k) tail += std::exp(log_binomial_half(n, k));
  return std::min(1.0, 2 * tail);
}

PairedTable make_paired_table(const std::vector<bool>& first, const std::vector<bool>& second) {
  BERYL_CHECK(first.size() == second.size());
  PairedTable table;
  for (size_t i = 0; i < first.size(); ++i) {
    ++(first[i] ? (second[i] ? table.both : table.only_first)
                : (second[i] ? table.only_second : table.neither));
  }
  return table;
}

std::string describe_verdict(const PairedTable& table, const std::string& first, const std::string& second) {
  const int64_t discordant = table.only_first + table.only_second;
  if (table.total() == 0) return "There are no questions that both answered.";
  if (discordant == 0) {
    return fmt::format("{} and {} were right on exactly the same {} of {} questions.", first, second,
                       table.both, table.total());
  }
  const Interval interval = table.difference_interval();
  const std::string size = fmt::format(
      "{} answers {} question{} rightly that {} does not, and {} the other way round: {:+.2f} points, "
      "and between {:+.2f} and {:+.2f} for questions of this kind at large (95 %).",
      second, table.only_second, table.only_second == 1 ? "" : "s", first, table.only_first,
      table.difference() * 100, interval.low * 100, interval.high * 100);
  const double p = table.mcnemar_p();
  if (p < kSignificance) {
    return fmt::format(
        "{} is {}: chance alone would give as large a difference with a probability of {:.2g}. {}", second,
        table.difference() > 0 ? "better" : "worse", p, size);
  }
  return fmt::format("No difference can be told from chance (p = {:.2g}). {}", p, size);
}

double quantile(std::span<const double> sorted, double q) {
  BERYL_CHECK(!sorted.empty() && q >= 0 && q <= 1);
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace beryl::eval
