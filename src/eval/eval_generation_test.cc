#include "eval/eval_generation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "engine/fake_runner_for_tests.h"

namespace beryl::eval {
namespace {

using engine::FakeRunner;
using engine::FakeShape;
using ::testing::HasSubstr;

class GenerateOnTest : public testing::Test {
 protected:
  static constexpr FakeShape kShape = {.sliding_pages = 400, .full_pages = 400};

  static engine::EngineOptions options() {
    return {.context_max = 128,
            .sequences_max = 4,
            .tokens_per_page = kShape.tokens_per_page,
            .sliding_pages = kShape.sliding_pages,
            .full_pages = kShape.full_pages,
            .prefix_sliding_pages = 100};
  }

  // Greedy answers of `new_tokens_max` tokens to prompts that begin alike.
  static std::vector<GenerationTask> tasks(size_t count, size_t prefix, int64_t new_tokens_max) {
    std::vector<GenerationTask> list(count);
    for (size_t i = 0; i < count; ++i) {
      for (size_t at = 0; at < prefix; ++at) list[i].prompt.push_back(static_cast<int32_t>(at % 7));
      list[i].prompt.push_back(static_cast<int32_t>(i % 16));
      list[i].prompt.push_back(static_cast<int32_t>(i / 16));
      list[i].sampling.temperature = 0;
      list[i].new_tokens_max = new_tokens_max;
    }
    return list;
  }

  static std::vector<int32_t> expected(const GenerationTask& task) {
    std::vector<int32_t> text = task.prompt;
    for (int64_t i = 0; i < task.new_tokens_max; ++i) text.push_back(FakeRunner::next(text, kShape));
    return {text.begin() + static_cast<std::ptrdiff_t>(task.prompt.size()), text.end()};
  }

  FakeRunner runner_{kShape};
  engine::Engine engine_{runner_, options()};
};

TEST_F(GenerateOnTest, AnswersAllTasksAsIfEachWereAlone) {
  std::vector<GenerationTask> list = tasks(40, 80, 9);
  std::vector<std::vector<int32_t>> heard(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    list[i].on_token = [&heard, i](int32_t token) {
      heard[i].push_back(token);
      return true;
    };
  }
  std::map<size_t, Generated> done;
  generate_on(engine_)(
      list, [&](size_t i, const Generated& generated) { done[i] = generated; }, [] { return false; });
  ASSERT_EQ(done.size(), list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    EXPECT_EQ(heard[i], expected(list[i])) << i;
    EXPECT_EQ(done[i].new_tokens, 9);
    EXPECT_EQ(done[i].finish_reason, engine::FinishReason::kLength);
    EXPECT_EQ(done[i].prompt_tokens + done[i].cached_tokens, 82);
    // The common beginning is computed once.
    EXPECT_EQ(done[i].cached_tokens > 0, i > 0) << i;
  }
}

TEST_F(GenerateOnTest, EndsAnswersThatHadEnough) {
  std::vector<GenerationTask> list = tasks(3, 5, 50);
  for (GenerationTask& task : list) {
    task.on_token = [count = 0](int32_t) mutable { return ++count < 4; };
  }
  size_t done = 0;
  generate_on(engine_)(
      list,
      [&](size_t, const Generated& generated) {
        ++done;
        EXPECT_EQ(generated.new_tokens, 4);
        EXPECT_EQ(generated.finish_reason, engine::FinishReason::kStop);
      },
      [] { return false; });
  EXPECT_EQ(done, 3U);
}

TEST_F(GenerateOnTest, StopsWhenTold) {
  std::vector<GenerationTask> list = tasks(30, 5, 20);
  for (GenerationTask& task : list) task.on_token = [](int32_t) { return true; };
  size_t done = 0;
  generate_on(engine_)(list, [&](size_t, const Generated&) { ++done; }, [&] { return done >= 3; });
  EXPECT_GE(done, 3U);
  EXPECT_LT(done, 30U);
}

TEST_F(GenerateOnTest, PassesOnWhatWentWrong) {
  std::vector<GenerationTask> list = tasks(3, 200, 5);  // longer than the context
  for (GenerationTask& task : list) task.on_token = [](int32_t) { return true; };
  try {
    generate_on(engine_)(list, [](size_t, const Generated&) {}, [] { return false; });
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("202 tokens"));
  }
  runner_.poison = 3;  // its logits are not finite
  list = tasks(4, 5, 5);
  for (GenerationTask& task : list) task.on_token = [](int32_t) { return true; };
  EXPECT_THROW(generate_on(engine_)(list, [](size_t, const Generated&) {}, [] { return false; }), Error);
}

TEST(CommonPrefixTest, IsWhatAllPromptsShare) {
  const std::vector<GenerationTask> tasks = {
      {.prompt = {1, 2, 3, 4}}, {.prompt = {1, 2, 3}}, {.prompt = {1, 2, 9, 4}}};
  EXPECT_EQ(common_prefix(tasks), 2);
  EXPECT_EQ(common_prefix(std::span(tasks).first(2)), 3);
  EXPECT_EQ(common_prefix(std::span(tasks).first(1)), 0);
}

}  // namespace
}  // namespace beryl::eval
