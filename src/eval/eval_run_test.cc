// A scripted generator stands for the model; the demo model's tokenizer turns its words into tokens.
#include "eval/eval_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/temporary_directory_for_tests.h"

namespace beryl::eval {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

const text::Tokenizer& tokenizer() {
  static const text::Tokenizer kTokenizer =
      text::load_tokenizer(fs::path(BERYL_SOURCE_DIR) / "models/demo/tokenizer.json");
  return kTokenizer;
}

// Says `words[i]` to task i, a token at a time, until it is told to stop, in reverse order of the tasks.
Generate say(std::vector<std::string> words, size_t tasks_max = 100) {
  return [=](std::span<const GenerationTask> tasks, const auto& on_done, const auto&) {
    for (size_t i = std::min(tasks.size(), tasks_max); i-- > 0;) {
      Generated generated = {.prompt_tokens = static_cast<int64_t>(tasks[i].prompt.size()),
                             .cached_tokens = 1};
      for (const int32_t token : tokenizer().encode(words[i], text::SpecialTokens::kRecognise)) {
        if (generated.new_tokens == tasks[i].new_tokens_max) {
          generated.finish_reason = engine::FinishReason::kLength;
          break;
        }
        ++generated.new_tokens;
        if (!tasks[i].on_token(token)) break;
      }
      on_done(i, generated);
    }
  };
}

std::vector<EvalQuestion> questions(std::vector<std::string> golds) {
  std::vector<EvalQuestion> list;
  for (size_t i = 0; i < golds.size(); ++i) {
    const std::string text = "Question " + std::to_string(i);
    list.push_back({.index = i,
                    .prompt = {.text = text, .ids = tokenizer().encode(text, text::SpecialTokens::kAsText)},
                    .gold = "#### " + golds[i]});
  }
  return list;
}

EvalOptions options(const std::string& model = "m") {
  return {.settings = {.model = model, .task = "gsm8k", .compute = "bf16", .new_tokens_max = 30},
          .sampling = {},
          .end_tokens = {106}};
}

EvalResult run(std::span<const EvalQuestion> asked, const Generate& generate, AnswerLog& log,
               const EvalHooks& hooks = {}) {
  return run_eval({find_gsm8k_task("gsm8k"), asked, tokenizer(), options()}, generate, log, hooks);
}

TEST(EvalRunTest, ScoresAnswersInOrderOfTheQuestions) {
  AnswerLog log;
  const EvalResult result =
      run(questions({"4", "5", "6", "7"}),
          say({"so #### 4", "it is 5", "nothing", "#### 7\n\nQuestion: 8? #### 8"}), log);
  ASSERT_EQ(result.answers.size(), 4U);
  EXPECT_TRUE(result.is_complete);
  EXPECT_EQ(result.answers[0].strict, "4");
  EXPECT_EQ(result.answers[1].strict, "[invalid]");
  EXPECT_EQ(result.answers[1].flexible, "5");
  EXPECT_EQ(result.answers[3].answer, "#### 7\n\n");  // ended before the stop string
  EXPECT_EQ(result.strict().right, 2);
  EXPECT_EQ(result.flexible().right, 3);
  EXPECT_EQ(result.strict_invalid(), 2);
  EXPECT_EQ(result.flexible_invalid(), 1);
  EXPECT_EQ(result.truncated(), 0);
  EXPECT_EQ(result.cached_tokens, 4);
}

TEST(EvalRunTest, CountsAnswersThatWereCutOff) {
  AnswerLog log;
  const EvalResult result = run(questions({"1"}), say({std::string(200, 'x') + " #### 1"}), log);
  EXPECT_EQ(result.truncated(), 1);
  EXPECT_EQ(result.strict().right, 0);
  EXPECT_EQ(result.new_tokens, 30);
}

TEST(EvalRunTest, KeepsReasoningOutOfTheAnswer) {
  AnswerLog log;
  const EvalResult result =
      run(questions({"4"}), say({"<|channel>thought\nmaybe #### 3\n<channel|>#### 4"}), log);
  EXPECT_EQ(result.answers.at(0).reasoning, "maybe #### 3");
  EXPECT_EQ(result.answers.at(0).strict, "4");
}

TEST(EvalRunTest, GoesOnFromRecordedAnswers) {
  const TemporaryDirectory folder;
  const auto asked = questions({"1", "2", "3"});
  {
    AnswerLog log(folder.path() / "log");
    const EvalResult first = run(asked, say({"#### 1", "#### 0", "#### 3"}, 2), log);
    EXPECT_FALSE(first.is_complete);
    EXPECT_EQ(first.answers.size(), 2U);
    EXPECT_FALSE(is_answered(asked, options().settings, AnswerLog(folder.path() / "log")));
  }
  AnswerLog log(folder.path() / "log");
  std::vector<size_t> done;
  const EvalResult second =
      run(asked, say({"#### 3"}), log,
          {.on_progress = [&](const EvalProgress& progress) { done.push_back(progress.done); }});
  EXPECT_TRUE(second.is_complete);
  EXPECT_EQ(second.answered_before, 2U);
  EXPECT_EQ(second.strict().right, 2);
  EXPECT_THAT(done, ElementsAre(2, 3));
  EXPECT_TRUE(is_answered(asked, options().settings, AnswerLog(folder.path() / "log")));
}

// A question's own seed: the same whatever was asked before.
TEST(EvalRunTest, SeedsEachQuestionForItself) {
  std::vector<uint64_t> seeds;
  const Generate note = [&](std::span<const GenerationTask> tasks, const auto&, const auto&) {
    for (const GenerationTask& task : tasks) seeds.push_back(task.sampling.seed);
  };
  AnswerLog log;
  EvalOptions seeded = options();
  seeded.sampling.seed = 40;
  const auto asked = questions({"1", "2"});
  run_eval({find_gsm8k_task("gsm8k"), asked, tokenizer(), seeded}, note, log, {});
  EXPECT_THAT(seeds, ElementsAre(40, 41));
}

TEST(EvalRunTest, PairsAnswersToTheSameQuestions) {
  AnswerLog log;
  const EvalResult first = run(questions({"1", "2", "3"}), say({"#### 1", "#### 2", "3"}), log);
  const EvalResult second = run(questions({"1", "2", "3"}), say({"#### 1", "no"}, 2), log);
  const PairedTable strict = compare_strict(first, second);
  EXPECT_EQ(strict.both, 1);
  EXPECT_EQ(strict.only_first, 1);
  EXPECT_EQ(strict.total(), 2);
  EXPECT_EQ(compare_flexible(second, first).only_second, 1);
}

TEST(EncodeRawTest, BeginsWithBos) {
  const std::vector<PromptTurn> turns = {{text::Role::kUser, "a <bos> b", " "}};
  const EncodedPrompt prompt = encode_raw(turns, tokenizer());
  EXPECT_EQ(prompt.text, "a <bos> b ");
  EXPECT_EQ(prompt.ids.front(), *tokenizer().find_special("<bos>"));
  EXPECT_EQ(std::count(prompt.ids.begin(), prompt.ids.end(), prompt.ids.front()), 1);
}

}  // namespace
}  // namespace beryl::eval
