// testdata/gsm8k/prompts.json holds the prompts that lm-evaluation-harness makes of made-up documents.
#include "eval/gsm8k_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"

namespace beryl::eval {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

const fs::path kFolder = fs::path(BERYL_SOURCE_DIR) / "testdata" / "gsm8k";

std::vector<std::vector<PromptTurn>> prompts_of(const std::string& name) {
  const Gsm8kTask& task = find_gsm8k_task(name);
  return make_prompts(task, load_gsm8k(kFolder / "documents.jsonl"), load_gsm8k(kFolder / "shots.jsonl"),
                      {.count = task.shot_count}, 3);
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

class Gsm8kPromptTest : public testing::TestWithParam<std::string> {
 protected:
  static nlohmann::json expected(const std::string& name) {
    return nlohmann::json::parse(std::ifstream(kFolder / "prompts.json")).at(name);
  }
};

TEST_P(Gsm8kPromptTest, EqualsTheHarness) {
  const nlohmann::json wanted = expected(GetParam());
  const auto prompts = prompts_of(GetParam());
  ASSERT_EQ(prompts.size(), wanted.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(join_turns(prompts[i]), wanted[i]["prompt"].get<std::string>());
  }
}

TEST_P(Gsm8kPromptTest, EqualsTheHarnessAsChat) {
  const nlohmann::json wanted = expected(GetParam() + " chat");
  const auto prompts = prompts_of(GetParam());
  ASSERT_EQ(prompts.size(), wanted.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    nlohmann::json messages = nlohmann::json::array();
    for (const text::Message& message : make_conversation(prompts[i]).messages) {
      messages.push_back(
          {{"role", text::role_name(message.role)}, {"content", std::get<std::string>(message.content)}});
    }
    EXPECT_EQ(messages, wanted[i]["messages"]);
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, Gsm8kPromptTest,
                         testing::Values("gsm8k", "gsm8k_cot", "gsm8k_cot_llama", "gsm8k_platinum",
                                         "gsm8k_platinum_cot", "gsm8k_platinum_cot_llama"),
                         [](const auto& info) { return info.param; });

TEST(Gsm8kTaskTest, VllmTakesTheFirstExamples) {
  const std::vector<Gsm8kDocument> shots = {{"a?", "1\n#### 1"}, {"b?", "#### 2"}, {"c?", "#### 3"}};
  const std::vector<Gsm8kDocument> documents = {{"d?", "#### 4"}};
  const auto prompts = make_prompts(find_gsm8k_task("gsm8k_vllm"), documents, shots, {.count = 2}, 9);
  ASSERT_EQ(prompts.size(), 1U);
  EXPECT_EQ(join_turns(prompts[0]),
            "Question: a?\nAnswer: 1\n#### 1\n\nQuestion: b?\nAnswer: #### 2\n\nQuestion: d?\nAnswer:");
}

TEST(Gsm8kTaskTest, ZeroShotIsTheBareQuestion) {
  const std::vector<Gsm8kDocument> documents = {{"d?", "#### 4"}};
  const auto prompts = make_prompts(find_gsm8k_task("gsm8k_zero_shot"), documents, {}, {}, 9);
  ASSERT_EQ(prompts.size(), 1U);
  EXPECT_EQ(join_turns(prompts[0]), "d?");
}

// lm-evaluation-harness draws again from the other documents when too few are left without the question.
TEST(Gsm8kTaskTest, NeverShowsTheQuestionAsItsExample) {
  const std::vector<Gsm8kDocument> documents = {
      {"a?", "#### 1"}, {"a?", "#### 1"}, {"b?", "#### 2"}, {"c?", "#### 3"}};
  const auto prompts =
      make_prompts(find_gsm8k_task("gsm8k_platinum"), documents, {}, {.count = 2, .seed = 5}, 9);
  ASSERT_EQ(prompts.size(), 4U);
  for (const auto& turns : prompts) {
    ASSERT_EQ(turns.size(), 5U);
    EXPECT_NE(turns[0].content, turns[4].content);
    EXPECT_NE(turns[2].content, turns[4].content);
  }
}

TEST(Gsm8kTaskTest, RefusesMoreExamplesThanThereAre) {
  const std::vector<Gsm8kDocument> documents = {{"a?", "#### 1"}};
  const auto make = [&](const char* name, int count) {
    make_prompts(find_gsm8k_task(name), documents, {}, {.count = count}, 1);
  };
  EXPECT_THAT(message_of([&] { make("gsm8k_cot", 9); }),
              HasSubstr("9 examples are asked for, gsm8k_cot has 8"));
  EXPECT_THAT(message_of([&] { make("gsm8k", 5); }), HasSubstr("5 examples are asked for, gsm8k has 0"));
  EXPECT_THAT(message_of([&] { make("gsm8k_platinum", 1); }), HasSubstr("gsm8k_platinum has 0"));
  EXPECT_THAT(message_of([] { find_gsm8k_task("mmlu"); }), HasSubstr("no task 'mmlu'"));
}

TEST(Gsm8kDataTest, NamesTheLineThatIsWrong) {
  const TemporaryDirectory folder;
  const auto load = [&](const char* text) { load_gsm8k(folder.write("data.jsonl", text)); };
  const std::string good = R"({"question": "a?", "answer": "#### 1"})";
  EXPECT_THAT(message_of([&] { load((good + "\n\n{\"question\": 3}\n").c_str()); }),
              AllOf(HasSubstr("data.jsonl:3"), HasSubstr("no text \"question\"")));
  EXPECT_THAT(message_of([&] { load((good + "\n{").c_str()); }), HasSubstr("data.jsonl:2"));
  EXPECT_THAT(message_of([&] { load("\n"); }), HasSubstr("is empty"));
  EXPECT_EQ(load_gsm8k(folder.write("crlf.jsonl", good + "\r\n" + good)).size(), 2U);
}

}  // namespace
}  // namespace beryl::eval
