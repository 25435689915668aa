#include "text/stop_matcher.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"

namespace beryl::text {
namespace {

using Strings = std::vector<std::string>;

struct Outcome {
  std::string shown;
  std::optional<size_t> matched;

  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  out << "'" << outcome.shown << "'";
  return outcome.matched ? out << " stopped by " << *outcome.matched : out;
}

// Looks at every end of a match from the left, and there at every stop string.
Outcome reference(const Strings& stops, StopText stop_text, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::optional<size_t> matched;
    for (size_t i = 0; i < stops.size(); ++i) {
      const bool matches = text.substr(0, end).ends_with(stops[i]);
      if (matches && (!matched || stops[i].size() > stops[*matched].size())) matched = i;
    }
    if (!matched) continue;
    const size_t hidden = stop_text == StopText::kHide ? stops[*matched].size() : 0;
    return {text.substr(0, end - hidden), matched};
  }
  return {text, std::nullopt};
}

// How many bytes at the end of `text` begin a stop string without being one.
size_t reference_held(const Strings& stops, const std::string& text) {
  size_t held = 0;
  for (const std::string& stop : stops) {
    for (size_t length = 1; length < stop.size(); ++length) {
      if (text.ends_with(stop.substr(0, length))) held = std::max(held, length);
    }
  }
  return held;
}

Outcome run(const Strings& stops, StopText stop_text, const Strings& pieces) {
  StopMatcher matcher(stops, stop_text);
  Outcome outcome;
  std::string pushed;
  for (const std::string& piece : pieces) {
    outcome.shown += matcher.push(piece);
    pushed += piece;
    if (!matcher.matched()) {
      EXPECT_EQ(pushed.size() - outcome.shown.size(), reference_held(stops, pushed));
    }
  }
  outcome.shown += matcher.flush();
  EXPECT_EQ(matcher.flush(), "");
  outcome.matched = matcher.matched();
  if (outcome.matched) {
    EXPECT_EQ(matcher.push("more"), "");
  }
  return outcome;
}

// Whole, cut at each place, and byte by byte.
void expect_outcome(const Strings& stops, const std::string& text, const std::string& hidden,
                    const std::string& shown, std::optional<size_t> matched) {
  SCOPED_TRACE(text);
  Strings bytes;
  for (const char c : text) bytes.emplace_back(1, c);
  for (size_t at = 0; at <= text.size(); ++at) {
    const Strings halves{text.substr(0, at), text.substr(at)};
    EXPECT_EQ(run(stops, StopText::kHide, halves), (Outcome{hidden, matched}));
    EXPECT_EQ(run(stops, StopText::kShow, halves), (Outcome{shown, matched}));
  }
  EXPECT_EQ(run(stops, StopText::kHide, bytes), (Outcome{hidden, matched}));
  EXPECT_EQ(run(stops, StopText::kShow, bytes), (Outcome{shown, matched}));
}

TEST(StopMatcherTest, FindsAStringThatSpansPieces) {
  expect_outcome({"Question:"}, "42.\n\nQuestion: how", "42.\n\n", "42.\n\nQuestion:", 0);
  expect_outcome({"\n\n"}, "a\nb\n\nc", "a\nb", "a\nb\n\n", 0);
  expect_outcome({"é"}, "caf\xc3\xa8 caf\xc3\xa9!", "caf\xc3\xa8 caf", "caf\xc3\xa8 caf\xc3\xa9", 0);
}

TEST(StopMatcherTest, LetsTextWithoutOneThrough) {
  expect_outcome({"STOP"}, "STO SSTO STOSTO", "STO SSTO STOSTO", "STO SSTO STOSTO", std::nullopt);
  expect_outcome({}, "anything", "anything", "anything", std::nullopt);
  expect_outcome({"x"}, "", "", "", std::nullopt);
}

TEST(StopMatcherTest, StringsThatOverlapThemselvesAreFound) {
  expect_outcome({"aab"}, "aaaab", "aa", "aaaab", 0);
  expect_outcome({"abab"}, "abaabab", "aba", "abaabab", 0);
  expect_outcome({"</s></s>"}, "</s></</s></s>", "</s></", "</s></</s></s>", 0);
}

TEST(StopMatcherTest, TheMatchThatEndsFirstWinsAndOfThoseTheLongest) {
  expect_outcome({"abcd", "bc"}, "xabcd", "xa", "xabc", 1);
  expect_outcome({"bc", "abc"}, "xabc", "x", "xabc", 1);
  expect_outcome({"abc", "bc"}, "xabc", "x", "xabc", 0);
  expect_outcome({"end", "stop"}, "do stop at the end", "do ", "do stop", 1);
  expect_outcome({"same", "same"}, "same", "", "same", 0);
}

TEST(StopMatcherTest, HoldsBackOnlyWhatMayBeginAStop) {
  StopMatcher matcher({"<end>", "nd!"}, StopText::kHide);
  EXPECT_EQ(matcher.push("a<e"), "a");
  EXPECT_EQ(matcher.push("n"), "");
  EXPECT_EQ(matcher.push("x"), "<enx");
  EXPECT_EQ(matcher.push("<end"), "");
  EXPECT_EQ(matcher.push("!"), "<e");
  EXPECT_EQ(matcher.matched(), 1U);
}

TEST(StopMatcherTest, FlushGivesBackWhatWasHeld) {
  StopMatcher matcher({"STOP"}, StopText::kHide);
  EXPECT_EQ(matcher.push("a STO"), "a ");
  EXPECT_EQ(matcher.flush(), "STO");
}

TEST(StopMatcherTest, LimitsAreChecked) {
  const std::string longest(StopMatcher::kBytesMax, 'x');
  EXPECT_NO_THROW(StopMatcher(Strings(StopMatcher::kStringsMax, longest), StopText::kHide));
  const auto message = [](const Strings& stops) -> std::string {
    try {
      StopMatcher matcher(stops, StopText::kHide);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      return error.message();
    }
    return "";
  };
  EXPECT_EQ(message(Strings(17, "x")), "stop has 17 strings, expected at most 16");
  EXPECT_EQ(message({"x", ""}), "stop string 1 has 0 bytes, expected 1 to 256");
  EXPECT_EQ(message({longest + "x"}), "stop string 0 has 257 bytes, expected 1 to 256");
}

TEST(StopMatcherTest, RandomTextsAgreeWithTheReference) {
  std::mt19937 generator(5);
  const auto below = [&](size_t limit) {
    return std::uniform_int_distribution<size_t>(0, limit - 1)(generator);
  };
  const auto random_text = [&](size_t length) {
    std::string text;
    for (size_t i = 0; i < length; ++i) text += "ab"[below(2)];
    return text;
  };
  for (int round = 0; round < 20'000; ++round) {
    Strings stops;
    for (size_t count = below(4); count > 0; --count) stops.push_back(random_text(1 + below(8)));
    Strings pieces;
    std::string text;
    for (size_t count = below(8); count > 0; --count) {
      pieces.push_back(random_text(below(6)));
      text += pieces.back();
    }
    const StopText stop_text = below(2) == 0 ? StopText::kHide : StopText::kShow;
    ASSERT_EQ(run(stops, stop_text, pieces), reference(stops, stop_text, text)) << text;
  }
}

// A matcher that starts over after each mismatch would need 256 times as long.
TEST(StopMatcherTest, PeriodicTextTakesLinearTime) {
  const std::string almost = std::string(StopMatcher::kBytesMax - 1, 'a') + "b";
  StopMatcher matcher(Strings(StopMatcher::kStringsMax, almost), StopText::kHide);
  const auto start = std::chrono::steady_clock::now();
  size_t shown = 0;
  const std::string piece(100, 'a');
  for (int i = 0; i < 10'000; ++i) shown += matcher.push(piece).size();
  EXPECT_EQ(shown, 1'000'000 - (StopMatcher::kBytesMax - 1));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace beryl::text
