// testdata/gsm8k/scoring.json holds 500 answers as lm-evaluation-harness extracts and scores them.
#include "eval/gsm8k_score.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "eval/gsm8k_task.h"

namespace beryl::eval {
namespace {

class Gsm8kScoreTest : public testing::TestWithParam<std::string> {};

TEST_P(Gsm8kScoreTest, ReadsAndScoresAsTheHarnessDoes) {
  const auto file = std::filesystem::path(BERYL_SOURCE_DIR) / "testdata/gsm8k/scoring.json";
  const nlohmann::json cases = nlohmann::json::parse(std::ifstream(file));
  ASSERT_EQ(cases.size(), 500U);
  const AnswerMark mark = find_gsm8k_task(GetParam()).mark;
  for (const nlohmann::json& each : cases) {
    const nlohmann::json& expected = each[GetParam()];
    const auto text = each["text"].get<std::string>();
    const std::string gold = gold_answer(mark, each["gold"].get<std::string>());
    const std::string strict = extract_strict(mark, text);
    const std::string flexible = extract_flexible(mark, text);
    EXPECT_EQ(strict, expected["strict"].get<std::string>()) << each["text"];
    EXPECT_EQ(flexible, expected["flexible"].get<std::string>()) << each["text"];
    EXPECT_EQ(is_right(strict, gold), expected["strict_right"].get<bool>()) << each["text"] << each["gold"];
    EXPECT_EQ(is_right(flexible, gold), expected["flexible_right"].get<bool>())
        << each["text"] << each["gold"];
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, Gsm8kScoreTest, testing::Values("gsm8k", "gsm8k_cot", "gsm8k_cot_llama"),
                         [](const auto& info) { return info.param; });

TEST(LastDigitsTest, TakesTheLastRunOfDigits) {
  const auto read = [](std::string_view text) { return extract_strict(AnswerMark::kLastDigits, text); };
  EXPECT_EQ(read("first 3, then 1,234 apples."), "1234");
  EXPECT_EQ(read("-5"), "5");
  EXPECT_EQ(read("12.50"), "50");
  EXPECT_EQ(read("12.05"), kInvalidAnswer);
  EXPECT_EQ(read("12.00"), "0");
  EXPECT_EQ(read("none"), kInvalidAnswer);
  EXPECT_EQ(read(""), kInvalidAnswer);
  EXPECT_EQ(gold_answer(AnswerMark::kLastDigits, "2 * 617 = 1,234\n#### 1,234"), "1234");
}

TEST(GoldAnswerTest, SplitsAtMarksFromTheLeft) {
  EXPECT_EQ(gold_answer(AnswerMark::kAnswerIs, "so\n#### 8 "), "8");
  EXPECT_EQ(gold_answer(AnswerMark::kAnswerIs, "#####8"), "#8");
  EXPECT_EQ(gold_answer(AnswerMark::kFinalAnswer, "no mark"), "no mark");
}

}  // namespace
}  // namespace beryl::eval
