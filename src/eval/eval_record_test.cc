#include "eval/eval_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"

namespace beryl::eval {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

EvalSettings settings() {
  return {.model = "m", .task = "gsm8k", .compute = "bf16", .seed = 1234, .new_tokens_max = 64};
}

EvalAnswer answer(size_t index) {
  return {.settings = settings(),
          .index = index,
          .prompt = "Question: \"\xC3\xA9\"\n",
          .reasoning = "hm",
          .answer = "two\n#### 2",
          .gold = "#### 2",
          .strict = "2",
          .flexible = "2",
          .strict_right = true,
          .flexible_right = true,
          .truncated = true,
          .prompt_tokens = 7,
          .cached_tokens = 3,
          .new_tokens = 5};
}

std::string read(const fs::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

template <typename Work>
std::string message_of(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(AnswerLogTest, KeepsAnswers) {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "answers.jsonl";
  AnswerLog(file).add(answer(3));
  AnswerLog(file).add(answer(4));
  const AnswerLog log(file);
  const EvalAnswer expected = answer(4);
  const EvalAnswer* found = log.find(settings(), 4, expected.prompt);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->settings, expected.settings);
  EXPECT_EQ(found->reasoning, expected.reasoning);
  EXPECT_EQ(found->answer, expected.answer);
  EXPECT_EQ(found->gold, expected.gold);
  EXPECT_EQ(found->strict, expected.strict);
  EXPECT_EQ(found->flexible, expected.flexible);
  EXPECT_TRUE(found->strict_right && found->flexible_right && found->truncated);
  EXPECT_EQ(found->prompt_tokens, 7);
  EXPECT_EQ(found->cached_tokens, 3);
  EXPECT_EQ(found->new_tokens, 5);
  EXPECT_EQ(log.find(settings(), 5, expected.prompt), nullptr);
  EvalSettings other = settings();
  other.model = "another";
  EXPECT_EQ(log.find(other, 4, expected.prompt), nullptr);
}

// As when the program was killed while it wrote.
TEST(AnswerLogTest, DropsALineThatWasCutOff) {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "answers.jsonl";
  AnswerLog(file).add(answer(0));
  const std::string whole = read(file);
  std::ofstream(file, std::ios::app) << whole.substr(0, whole.size() / 2);
  AnswerLog(file).add(answer(1));
  EXPECT_EQ(read(file).size(), 2 * whole.size());
  EXPECT_NE(AnswerLog(file).find(settings(), 1, answer(1).prompt), nullptr);
}

TEST(AnswerLogTest, RefusesAnswersToOtherQuestions) {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "answers.jsonl";
  AnswerLog(file).add(answer(0));
  const AnswerLog log(file);
  EXPECT_THAT(message_of([&] { log.find(settings(), 0, "another"); }), HasSubstr("another prompt"));
  EvalSettings other = settings();
  other.new_tokens_max = 65;
  EXPECT_THAT(message_of([&] { log.find(other, 0, answer(0).prompt); }), HasSubstr("other settings"));
}

TEST(AnswerLogTest, RefusesOtherFiles) {
  const TemporaryDirectory folder;
  EXPECT_THAT(message_of([&] { AnswerLog(folder.write("a", "{\"model\": 3}\n")); }),
              AllOf(HasSubstr("a:1"), HasSubstr("not an answer")));
  EXPECT_THAT(message_of([&] { AnswerLog(folder.write("b", "words\n")); }), HasSubstr("b:1"));
  EXPECT_THAT(message_of([&] { AnswerLog(folder.path() / "none" / "c"); }), HasSubstr("cannot write"));
}

TEST(AnswerLogTest, KeepsNothingWithoutAFile) {
  AnswerLog log;
  log.add(answer(0));
  EXPECT_EQ(log.find(settings(), 0, answer(0).prompt), nullptr);
}

}  // namespace
}  // namespace beryl::eval
