#include "text/special_token_set.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"

namespace beryl::text {
namespace {

SpecialTokenSet make(const std::vector<std::string>& texts) {
  std::vector<SpecialToken> tokens;
  for (const std::string& text : texts) tokens.push_back({static_cast<int32_t>(tokens.size()) * 10, text});
  return SpecialTokenSet(tokens);
}

// "id@begin-end" of the first match inside [begin, end).
std::string first_match(const SpecialTokenSet& tokens, std::string_view text, size_t begin, size_t end) {
  const auto match = tokens.find_next(text, begin, end);
  if (!match) return "none";
  return std::to_string(match->id) + "@" + std::to_string(match->begin) + "-" + std::to_string(match->end);
}

TEST(SpecialTokenSet, TakesTheLeftmostAndThenTheLongest) {
  const SpecialTokenSet tokens = make({"<a>", "<a", "<a>b", "b<", "\u4E2D!"});
  EXPECT_EQ(first_match(tokens, "x<a>c", 0, 5), "0@1-4");
  EXPECT_EQ(first_match(tokens, "x<a>b", 0, 5), "20@1-5");
  EXPECT_EQ(first_match(tokens, "x<ac", 0, 4), "10@1-3");
  EXPECT_EQ(first_match(tokens, "b<a>b", 0, 5), "30@0-2");
  EXPECT_EQ(first_match(tokens, "<<a", 0, 3), "10@1-3");
  EXPECT_EQ(first_match(tokens, "\u4E2D\u4E2D!", 0, 7), "40@3-7");
  EXPECT_EQ(first_match(tokens, "nothing < here", 0, 14), "none");
  EXPECT_EQ(first_match(tokens, "", 0, 0), "none");
}

TEST(SpecialTokenSet, StaysInsideTheGivenBytes) {
  const SpecialTokenSet tokens = make({"<a>", "<a", "<a>b"});
  EXPECT_EQ(first_match(tokens, "<a>b", 0, 4), "20@0-4");
  EXPECT_EQ(first_match(tokens, "<a>b", 0, 3), "0@0-3");
  EXPECT_EQ(first_match(tokens, "<a>b", 0, 2), "10@0-2");
  EXPECT_EQ(first_match(tokens, "<a>b", 0, 1), "none");
  EXPECT_EQ(first_match(tokens, "<a>b", 1, 4), "none");
  EXPECT_EQ(first_match(tokens, "<a>b", 4, 4), "none");
}

TEST(SpecialTokenSet, EqualsASearchForEachToken) {
  std::mt19937 random(1);
  const auto random_text = [&](size_t size) {
    std::string text(size, ' ');
    for (char& c : text) c = "<|a>\xE4"[random() % 5];
    return text;
  };
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> texts;
    for (size_t count = random() % 6; texts.size() < count;) {
      std::string text = random_text(1 + random() % 4);
      if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(std::move(text));
    }
    const SpecialTokenSet tokens = make(texts);
    const std::string text = random_text(12);
    std::string expected = "none";
    for (size_t begin = 0; begin < text.size() && expected == "none"; ++begin) {
      size_t longest = 0;
      for (size_t i = 0; i < texts.size(); ++i) {
        if (texts[i].size() <= longest || text.compare(begin, texts[i].size(), texts[i]) != 0) continue;
        longest = texts[i].size();
        expected =
            std::to_string(i * 10) + "@" + std::to_string(begin) + "-" + std::to_string(begin + longest);
      }
    }
    ASSERT_EQ(first_match(tokens, text, 0, text.size()), expected) << text;
  }
}

TEST(SpecialTokenSet, LooksUpByTextAndId) {
  const SpecialTokenSet tokens = make({"<b>", "<a>", "<c>"});
  EXPECT_EQ(tokens.find("<a>"), 10);
  EXPECT_EQ(tokens.find("<c>"), 20);
  EXPECT_EQ(tokens.find("<"), std::nullopt);
  EXPECT_EQ(tokens.find("<d>"), std::nullopt);
  EXPECT_TRUE(tokens.contains(20));
  EXPECT_FALSE(tokens.contains(1));
  EXPECT_EQ(make({}).find("<a>"), std::nullopt);
}

TEST(SpecialTokenSet, RefusesTwins) {
  EXPECT_THROW(make({"<a>", "<b>", "<a>"}), Error);
  EXPECT_THROW(SpecialTokenSet({{1, "<a>"}, {1, "<b>"}}), Error);
}

}  // namespace
}  // namespace beryl::text
