#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <vector>

namespace beryl::engine {
namespace {

constexpr int64_t kPageTokens = 4;

class SchedulerTest : public testing::Test {
 protected:
  // So many pages of each kind; windows reach over everything.
  void make(int64_t pages, EngineOptions options) {
    pools = std::make_unique<PagePools>(kPageTokens, 1000, pages, pages);
    cache = std::make_unique<PrefixCache>(*pools, pages);
    scheduler = std::make_unique<Scheduler>(*pools, *cache, options);
  }

  Stream& add(int64_t prompt_length, Request request = {}) {
    request.prompt.resize(static_cast<size_t>(prompt_length));
    std::iota(request.prompt.begin(), request.prompt.end(), 100 * static_cast<int32_t>(streams.size()));
    auto shared = std::make_shared<SharedPrompt>();
    shared->request = std::move(request);
    streams.push_back(std::make_unique<Stream>(*pools, shared, 0));
    scheduler->add(*streams.back());
    return *streams.back();
  }

  // Plans a step and does as if it had run: every stream whose text ends in it gets a token.
  StepPlan step(int64_t prompt_tokens_max = 1000) {
    StepPlan plan = scheduler->plan(prompt_tokens_max);
    for (const StepPart& part : plan.parts) {
      part.stream->computed = part.first + part.count;
      if (part.stream->remaining() == 0) part.stream->tokens.push_back(1);
    }
    return plan;
  }

  static int64_t count_of(const StepPlan& plan, const Stream& stream) {
    for (const StepPart& part : plan.parts) {
      if (part.stream == &stream) return part.count;
    }
    return 0;
  }

  std::unique_ptr<PagePools> pools;
  std::unique_ptr<PrefixCache> cache;
  std::unique_ptr<Scheduler> scheduler;
  std::vector<std::unique_ptr<Stream>> streams;
};

TEST_F(SchedulerTest, APromptAloneRunsInChunks) {
  make(100, {.sequences_max = 4, .chunk_tokens = 10});
  Stream& stream = add(25);
  EXPECT_EQ(count_of(step(3), stream), 10);  // the limit is for steps in which answers go on
  EXPECT_EQ(count_of(step(3), stream), 10);
  EXPECT_EQ(count_of(step(3), stream), 5);
  const StepPlan decode = step(3);
  EXPECT_EQ(count_of(decode, stream), 1);
  EXPECT_EQ(decode.decoding, 1);
  EXPECT_EQ(decode.prompt_tokens, 0);
}

TEST_F(SchedulerTest, PromptsMixWithAnswersWithinTheirShare) {
  make(100, {.sequences_max = 4, .chunk_tokens = 50});
  Stream& answering = add(8);
  step();
  Stream& prompt = add(30);
  const StepPlan plan = step(7);
  EXPECT_EQ(count_of(plan, answering), 1);
  EXPECT_EQ(count_of(plan, prompt), 7);
  EXPECT_EQ(plan.prompt_tokens, 7);
}

TEST_F(SchedulerTest, TheOldestPromptGetsHalfAndShortOnesTheRest) {
  make(100, {.sequences_max = 4, .chunk_tokens = 20});
  Stream& oldest = add(100);
  Stream& middle = add(50);
  Stream& shortest = add(4);
  const StepPlan plan = step();
  EXPECT_EQ(count_of(plan, oldest), 10);
  EXPECT_EQ(count_of(plan, shortest), 4);
  EXPECT_EQ(count_of(plan, middle), 6);
}

TEST_F(SchedulerTest, NoMoreRunThanThereArePlaces) {
  make(100, {.sequences_max = 2, .chunk_tokens = 100});
  add(4);
  add(4);
  Stream& third = add(4);
  EXPECT_EQ(step().parts.size(), 2U);
  EXPECT_EQ(scheduler->waiting().size(), 1U);
  scheduler->remove(*streams[0]);
  EXPECT_EQ(count_of(step(), third), 4);
}

TEST_F(SchedulerTest, HigherPrioritiesGoFirstAndOthersInOrder) {
  make(100, {.sequences_max = 1, .chunk_tokens = 100});
  Stream& first = add(4);
  Stream& second = add(4);
  Stream& urgent = add(4, {.priority = 5});
  EXPECT_EQ(count_of(step(), urgent), 4);
  scheduler->remove(urgent);
  EXPECT_EQ(count_of(step(), first), 4);
  scheduler->remove(first);
  EXPECT_EQ(count_of(step(), second), 4);
}

TEST_F(SchedulerTest, NoOneOvertakesARequestThatWaitsForPages) {
  make(20, {.sequences_max = 4, .chunk_tokens = 100});
  add(32);  // 8 of 20 pages
  step();
  Stream& large = add(60);
  Stream& small = add(4);
  const StepPlan plan = step();
  EXPECT_EQ(count_of(plan, large), 0);
  EXPECT_EQ(count_of(plan, small), 0);
}

TEST_F(SchedulerTest, WhenPagesRunOutTheLastGivesUpItsOwn) {
  make(10, {.sequences_max = 4, .has_prefix_cache = false, .chunk_tokens = 100});
  Stream& first = add(8);
  step();
  Stream& second = add(8);
  for (int i = 0; i < 40 && scheduler->counters().preemptions == 0; ++i) step();
  EXPECT_EQ(scheduler->counters().preemptions, 1U);
  ASSERT_EQ(scheduler->running().size(), 1U);
  EXPECT_EQ(scheduler->running().front(), &first);
  EXPECT_EQ(scheduler->waiting().front(), &second);
  EXPECT_EQ(second.computed, 0);
  EXPECT_GT(second.length(), 8);  // what it had answered is not lost
  // It goes on once there is room, with all of its text to compute again.
  scheduler->remove(first);
  const int64_t length = second.length();
  EXPECT_EQ(count_of(step(), second), length);
}

TEST_F(SchedulerTest, ForgetsPrefixesBeforeAnyoneGivesUpPages) {
  make(10, {.sequences_max = 4, .chunk_tokens = 100});
  Stream& old = add(16);
  step();
  cache->insert("", std::span(old.tokens).first(16), old.pages.snapshot(16));
  scheduler->remove(old);
  EXPECT_EQ(cache->size(), 1);
  Stream& next = add(36);
  EXPECT_EQ(count_of(step(), next), 36);
  EXPECT_EQ(cache->size(), 0);
  EXPECT_EQ(scheduler->counters().preemptions, 0U);
}

TEST_F(SchedulerTest, BeginsWithWhatTheCacheRemembers) {
  make(40, {.sequences_max = 4, .chunk_tokens = 100});
  Stream& old = add(16);
  step();
  cache->insert("", std::span(old.tokens).first(10), old.pages.snapshot(10));
  Request same;
  same.prompt = old.request().prompt;
  auto shared = std::make_shared<SharedPrompt>();
  shared->request = same;
  Stream next(*pools, shared, 0);
  scheduler->add(next);
  const StepPlan plan = scheduler->plan(1000);
  EXPECT_EQ(next.computed, 10);
  EXPECT_EQ(count_of(plan, next), 6);
  EXPECT_EQ(plan.copies.size(), 2U);  // the third page is shared in part
  EXPECT_EQ(scheduler->counters().prefix_hits, 1U);
  scheduler->remove(next);
}

TEST_F(SchedulerTest, SamplesWaitForTheFirstOfTheirPrompt) {
  make(40, {.sequences_max = 4, .chunk_tokens = 100});
  Stream& first = add(16, {.samples = 2});
  Stream second(*pools, first.shared, 1);
  scheduler->add(second);
  EXPECT_EQ(count_of(step(), second), 0);
  first.shared->is_ready = true;
  first.shared->snapshot = first.pages.snapshot(15);
  EXPECT_EQ(count_of(scheduler->plan(1000), second), 1);
  scheduler->remove(second);
}

TEST_F(SchedulerTest, PromptsWhoseRowsAllNeedLogitsRunInSmallerParts) {
  make(100, {.sequences_max = 4, .chunk_tokens = 100, .prompt_rows_max = 6});
  Stream& stream = add(20, {.prompt_logprobs = 0});
  EXPECT_EQ(count_of(step(), stream), 6);
  EXPECT_EQ(count_of(step(), stream), 6);
}

}  // namespace
}  // namespace beryl::engine
