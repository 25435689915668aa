#include "text/template/marked_text.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/error.h"

namespace beryl::text {
namespace {

// The text with 'T' or 'c' behind each byte for its origin.
std::string spelled(const MarkedText& text) {
  std::string result;
  text.for_each_run([&](std::string_view piece, Origin origin) {
    for (const char c : piece) {
      result += c;
      result += origin == Origin::kTemplate ? 'T' : 'c';
    }
  });
  return result;
}

TEST(MarkedText, SlicesKeepOrigins) {
  Arena arena(1 << 16);
  MarkedTextBuilder builder(arena);
  builder.append("ab", Origin::kTemplate);
  builder.append("cd", Origin::kCaller);
  builder.append("", Origin::kTemplate);
  builder.append("e", Origin::kCaller);
  builder.append("f", Origin::kTemplate);
  EXPECT_EQ(builder.stretches().size(), 3U);
  const MarkedText text = builder.finish();
  EXPECT_EQ(spelled(text),
            "aTbTcc"
            "dcec"
            "fT");
  EXPECT_EQ(spelled(text.slice(1, 3)), "bTcc");
  EXPECT_EQ(spelled(text.slice(2, 5)), "ccdcec");
  EXPECT_EQ(spelled(text.slice(4, 6).slice(1, 2)), "fT");
  EXPECT_EQ(spelled(text.slice(3, 3)), "");
  EXPECT_EQ(spelled(text.slice(6, 6)), "");
}

// Against a plain vector of origins.
TEST(MarkedText, RandomSlicesOfSlices) {
  std::mt19937 random(7);
  const auto below = [&random](size_t n) { return random() % n; };
  for (int round = 0; round < 300; ++round) {
    Arena arena(1 << 20);
    MarkedTextBuilder builder(arena);
    std::string expected;
    for (size_t i = below(12); i > 0; --i) {
      const Origin origin = below(2) == 0 ? Origin::kTemplate : Origin::kCaller;
      const std::string piece(below(4), static_cast<char>('a' + below(26)));
      builder.append(piece, origin);
      for (const char c : piece) (expected += c) += origin == Origin::kTemplate ? 'T' : 'c';
    }
    MarkedText text = builder.finish();
    for (int cut = 0; cut < 4; ++cut) {
      ASSERT_EQ(spelled(text), expected);
      const size_t begin = below(text.size() + 1);
      const size_t end = begin + below(text.size() - begin + 1);
      text = text.slice(begin, end);
      expected = expected.substr(2 * begin, 2 * (end - begin));
    }
    MarkedTextBuilder again(arena);
    again.append(text);
    ASSERT_EQ(spelled(again.finish()), expected);
  }
}

TEST(MarkedText, BuildersKeepTheirBounds) {
  Arena arena(1 << 16);
  MarkedTextBuilder small(arena, 3);
  small.append("abc", Origin::kCaller);
  EXPECT_THROW(small.append("d", Origin::kCaller), Error);
  MarkedTextBuilder large(arena);
  EXPECT_THROW(large.append(std::string(1 << 16, 'x'), Origin::kCaller), Error);
}

TEST(Arena, RefusesMoreThanItsBudgetAndSizesThatOverflow) {
  Arena arena(1000);
  EXPECT_NO_THROW(arena.make_array<uint64_t>(100));
  EXPECT_THROW(arena.make_array<uint64_t>(26), Error);
  EXPECT_NO_THROW(arena.make_array<uint64_t>(25));
  EXPECT_THROW(arena.make_array<char>(1), Error);
  Arena large(UINT64_MAX / 2);
  EXPECT_THROW(large.make_array<uint64_t>(SIZE_MAX / 4), Error);
}

TEST(Arena, AlignsObjects) {
  Arena arena(1 << 20);
  for (int i = 0; i < 1000; ++i) {
    arena.make_array<char>(static_cast<size_t>(i % 7));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(arena.make<double>(1.0)) % alignof(double), 0U);
  }
}

}  // namespace
}  // namespace beryl::text
