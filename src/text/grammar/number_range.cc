#include "text/grammar/number_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "base/error.h"
#include "base/quote.h"

namespace beryl::text::grammar {
namespace {

constexpr uint32_t kDigitsMax = 20;
constexpr uint32_t kFractionMax = 16;
constexpr uint32_t kDoubleDigits = 15;    // decimal digits that a double keeps
constexpr size_t kDecimalDigitsMax = 40;  // of a bound

// A range of magnitudes. Digits are compared as text, so both ends are decimals that are not negative.
struct Magnitudes {
  Decimal min;
  Decimal max;
  bool excludes_min = false;
  bool excludes_max = false;

  bool empty() const {
    const int order = compare(min, max);
    return order > 0 || (order == 0 && (excludes_min || excludes_max));
  }
};

int compare_magnitudes(const Decimal& a, const Decimal& b) {
  if (a.whole.size() != b.whole.size()) return a.whole.size() < b.whole.size() ? -1 : 1;
  if (const int order = a.whole.compare(b.whole); order != 0) return order;
  return a.fraction.compare(b.fraction);
}

Decimal negated(Decimal number) {
  number.is_negative = !number.is_negative && !number.is_zero();
  return number;
}

// Writes the numbers of a range with as many digits before the point as one of its ends, or any number
// between. At each digit only this matters: whether all digits so far are those of the lower end, and whether
// they are those of the upper end.
class RangeWriter {
 public:
  RangeWriter(Grammar& grammar, const Magnitudes& range, uint32_t fraction_max)
      : grammar_(grammar), range_(range), fraction_max_(fraction_max) {}

  NodeId write() {
    const size_t low = range_.min.whole.size();
    const size_t high = range_.max.whole.size();
    const Ends fraction_ends = write_fraction();
    if (low == high) return write_whole(low, {true, true}, fraction_ends);
    std::vector<NodeId> parts{write_whole(low, {true, false}, fraction_ends),
                              write_whole(high, {false, true}, fraction_ends)};
    if (high - low > 1) {
      const NodeId rest = any_digits(static_cast<uint32_t>(low), static_cast<uint32_t>(high - 2));
      parts.push_back(grammar_.sequence({digits('1', '9'), rest, fraction_ends[0]}));
    }
    return grammar_.choice(parts);
  }

 private:
  // Which ends the digits so far equal, as an index: 1 for the lower, 2 for the upper one.
  struct Tracking {
    bool low = false;
    bool high = false;
    size_t index() const { return (low ? 1U : 0U) + (high ? 2U : 0U); }
  };
  using Ends = std::array<NodeId, 4>;  // what may follow, by Tracking
  static constexpr std::array<Tracking, 4> kTrackings{
      {{false, false}, {true, false}, {false, true}, {true, true}}};

  NodeId digits(int first, int last) {
    return grammar_.set({{static_cast<char32_t>(first), static_cast<char32_t>(last)}});
  }
  NodeId any_digits(uint32_t min, uint32_t max) { return grammar_.repeat(digits('0', '9'), min, max); }

  // One digit of at least `first`, where the ends have `low` and `high`; `next` is what follows it.
  NodeId digit(Tracking tracking, int first, int low, int high, const Ends& next) {
    std::vector<NodeId> parts;
    const int from = tracking.low ? std::max(first, low) : first;
    const int to = tracking.high ? high : '9';
    for (int begin = from; begin <= to;) {
      const Tracking after{tracking.low && begin == low, tracking.high && begin == high};
      int end = begin;  // digits with the same consequence stand next to each other
      const auto has_same = [&](int c) {
        return (tracking.low && c == low) == after.low && (tracking.high && c == high) == after.high;
      };
      while (end + 1 <= to && has_same(end + 1)) ++end;
      parts.push_back(grammar_.sequence({digits(begin, end), next[after.index()]}));
      begin = end + 1;
    }
    return grammar_.choice(parts);
  }

  NodeId write_whole(size_t length, Tracking start, const Ends& fraction_ends) {
    Ends next = fraction_ends;
    for (size_t i = length; i-- > 0;) {
      const int low = start.low ? range_.min.whole[i] : 0;
      const int high = start.high ? range_.max.whole[i] : 0;
      const int first = i == 0 && length > 1 ? '1' : '0';
      Ends here{};
      for (const Tracking tracking : kTrackings) {
        if ((tracking.low && !start.low) || (tracking.high && !start.high)) continue;
        here[tracking.index()] = digit(tracking, first, low, high, next);
      }
      next = here;
    }
    return next[start.index()];
  }

  // Whether the number may end after `count` digits of the fraction.
  bool may_end(Tracking tracking, size_t count) const {
    if (tracking.low) {
      const bool is_below = range_.min.fraction.size() > count;
      if (is_below || range_.excludes_min) return false;
    }
    const bool equals_high = tracking.high && range_.max.fraction.size() <= count;
    return !equals_high || !range_.excludes_max;
  }

  // What may follow the last digit before the point.
  Ends write_fraction() {
    const auto digit_of = [](const std::string& digits, size_t i) {
      return i < digits.size() ? digits[i] : '0';
    };
    Ends next{};
    for (const Tracking tracking : kTrackings) {
      next[tracking.index()] = may_end(tracking, fraction_max_) ? grammar_.empty() : grammar_.nothing();
    }
    for (size_t count = fraction_max_; count-- > 0;) {
      Ends here{};
      for (const Tracking tracking : kTrackings) {
        NodeId node = digit(tracking, '0', digit_of(range_.min.fraction, count),
                            digit_of(range_.max.fraction, count), next);
        if (count == 0) node = grammar_.sequence({grammar_.literal("."), node});
        here[tracking.index()] = may_end(tracking, count) ? grammar_.optional(node) : node;
      }
      next = here;
    }
    return next;
  }

  Grammar& grammar_;
  const Magnitudes& range_;
  uint32_t fraction_max_;
};

// The part of the bounds with that sign, as magnitudes. What is not bounded goes up to `far`.
Magnitudes magnitudes_of(const NumberBounds& bounds, bool negative, const Decimal& far) {
  const std::optional<Decimal>& near_end = negative ? bounds.max : bounds.min;
  const std::optional<Decimal>& far_end = negative ? bounds.min : bounds.max;
  const bool excludes_near = negative ? bounds.excludes_max : bounds.excludes_min;
  const bool excludes_far = negative ? bounds.excludes_min : bounds.excludes_max;
  const auto magnitude = [&](const Decimal& end) { return negative ? negated(end) : end; };
  Magnitudes result{.min = {}, .max = far};
  if (near_end && !magnitude(*near_end).is_negative) {
    result.min = magnitude(*near_end);
    result.excludes_min = excludes_near;
  }
  if (far_end) {
    result.max = magnitude(*far_end);
    result.excludes_max = excludes_far;
  }
  return result;
}

// A number with more digits than any bound.
Decimal far_end(const NumberBounds& bounds, size_t digits_min) {
  size_t digits = digits_min;
  if (bounds.min) digits = std::max(digits, bounds.min->whole.size() + 1);
  if (bounds.max) digits = std::max(digits, bounds.max->whole.size() + 1);
  return {.whole = std::string(digits, '9')};
}

NodeId write_ranges(Grammar& grammar, const Magnitudes& positive, const Magnitudes& negative,
                    uint32_t fraction_max) {
  std::vector<NodeId> parts;
  if (!positive.empty()) parts.push_back(RangeWriter(grammar, positive, fraction_max).write());
  if (!negative.empty()) {
    const NodeId magnitude = RangeWriter(grammar, negative, fraction_max).write();
    parts.push_back(grammar.sequence({grammar.literal("-"), magnitude}));
  }
  return grammar.choice(parts);
}

}  // namespace

Decimal parse_decimal(std::string_view number) {
  Decimal result;
  std::string_view rest = number;
  if (rest.starts_with('-')) rest.remove_prefix(1);
  const size_t exponent_at = std::min(rest.find_first_of("eE"), rest.size());
  int exponent = 0;
  if (exponent_at < rest.size()) {
    std::string_view text = rest.substr(exponent_at + 1);
    if (text.starts_with('+')) text.remove_prefix(1);
    std::from_chars(text.data(), text.data() + text.size(), exponent);
    rest = rest.substr(0, exponent_at);
  }
  const size_t point = std::min(rest.find('.'), rest.size());
  std::string digits(rest.substr(0, point));
  if (point < rest.size()) digits += rest.substr(point + 1);
  const auto unsupported = [&] {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("the bound {} has more than {} digits", quote(number), kDecimalDigitsMax));
  };
  const auto limit = static_cast<int>(kDecimalDigitsMax);
  if (digits.size() > kDecimalDigitsMax || exponent > limit || exponent < -limit) unsupported();
  int64_t whole_digits = static_cast<int64_t>(point) + exponent;
  if (whole_digits < 0) {
    digits.insert(0, static_cast<size_t>(-whole_digits), '0');
    whole_digits = 0;
  }
  if (static_cast<size_t>(whole_digits) > digits.size())
    digits.resize(static_cast<size_t>(whole_digits), '0');
  if (digits.size() > kDecimalDigitsMax) unsupported();
  result.whole = digits.substr(0, static_cast<size_t>(whole_digits));
  result.fraction = digits.substr(static_cast<size_t>(whole_digits));
  result.whole.erase(0, std::min(result.whole.find_first_not_of('0'), result.whole.size()));
  if (result.whole.empty()) result.whole = "0";
  result.fraction.erase(result.fraction.find_last_not_of('0') + 1);
  result.is_negative = number.starts_with('-') && !result.is_zero();
  return result;
}

int compare(const Decimal& a, const Decimal& b) {
  if (a.is_negative != b.is_negative) return a.is_negative ? -1 : 1;
  return a.is_negative ? compare_magnitudes(b, a) : compare_magnitudes(a, b);
}

NodeId integer_between(Grammar& grammar, const NumberBounds& bounds) {
  const Decimal far = far_end(bounds, kDigitsMax);
  Magnitudes positive = magnitudes_of(bounds, false, far);
  Magnitudes negative = magnitudes_of(bounds, true, far);
  // "-0" is no integer that anybody writes.
  if (negative.min.is_zero()) negative.excludes_min = true;
  return write_ranges(grammar, positive, negative, 0);
}

NodeId number_between(Grammar& grammar, const NumberBounds& bounds) {
  if (!bounds.min && !bounds.max) {
    const NodeId digit = grammar.set({{'0', '9'}});
    const NodeId digits = grammar.repeat(digit, 1, kFractionMax);
    const NodeId fraction = grammar.sequence({grammar.literal("."), digits});
    const NodeId exponent = grammar.sequence({grammar.set({{'e', 'e'}, {'E', 'E'}}),
                                              grammar.optional(grammar.set({{'+', '+'}, {'-', '-'}})),
                                              grammar.repeat(digit, 1, 2)});
    return grammar.sequence(
        {grammar.optional(grammar.literal("-")),
         grammar.choice({grammar.literal("0"), grammar.sequence({grammar.set({{'1', '9'}}),
                                                                 grammar.repeat(digit, 0, kDigitsMax - 1)})}),
         grammar.optional(fraction), grammar.optional(exponent)});
  }
  size_t whole = 1;
  size_t fraction = 0;
  for (const std::optional<Decimal>& end : {bounds.min, bounds.max}) {
    if (!end) continue;
    whole = std::max(whole, end->whole.size());
    fraction = std::max(fraction, end->fraction.size());
  }
  const Decimal far = far_end(bounds, kDoubleDigits);
  const size_t told_apart = whole < kDoubleDigits ? kDoubleDigits - whole : 0;
  Magnitudes negative = magnitudes_of(bounds, true, far);
  if (negative.max.is_zero()) negative.excludes_max = true;  // no "-0" for a minimum of 0
  return write_ranges(grammar, magnitudes_of(bounds, false, far), negative,
                      static_cast<uint32_t>(std::max(told_apart, fraction)));
}

}  // namespace beryl::text::grammar
