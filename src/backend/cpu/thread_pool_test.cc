#include "backend/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/machine.h"

namespace beryl::backend {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, RunsTheBodyOnceForEachThread) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.thread_count(), GetParam());
  std::vector<int> calls(static_cast<size_t>(GetParam()));
  pool.run([&](int thread) { ++calls[static_cast<size_t>(thread)]; });
  EXPECT_EQ(calls, std::vector<int>(static_cast<size_t>(GetParam()), 1));
}

TEST_P(ThreadPoolTest, RangesCoverEveryIndexOnce) {
  ThreadPool pool(GetParam());
  for (int64_t count = 0; count <= 40; ++count) {
    std::vector<int> calls(static_cast<size_t>(count));
    pool.run_ranges(count, 3, [&](int64_t begin, int64_t end) {
      EXPECT_LT(begin, end);
      for (int64_t i = begin; i < end; ++i) ++calls[static_cast<size_t>(i)];
    });
    EXPECT_EQ(calls, std::vector<int>(static_cast<size_t>(count), 1)) << count;
  }
}

TEST_P(ThreadPoolTest, TasksAreDoneOnceEach) {
  ThreadPool pool(GetParam());
  for (int64_t count = 0; count <= 40; ++count) {
    std::vector<int> calls(static_cast<size_t>(count));
    pool.run_tasks(count, [&](int thread, int64_t task) {
      EXPECT_GE(thread, 0);
      EXPECT_LT(thread, GetParam());
      ++calls[static_cast<size_t>(task)];
    });
    EXPECT_EQ(calls, std::vector<int>(static_cast<size_t>(count), 1)) << count;
  }
}

TEST_P(ThreadPoolTest, ShortLoopsStayOnTheCaller) {
  ThreadPool pool(GetParam());
  const std::thread::id caller = std::this_thread::get_id();
  pool.run_ranges(7, 8, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(end - begin, 7);
  });
}

TEST_P(ThreadPoolTest, AnExceptionOfAnyThreadReachesTheCaller) {
  ThreadPool pool(GetParam());
  for (int thrower = 0; thrower < GetParam(); ++thrower) {
    try {
      pool.run([&](int thread) {
        if (thread == thrower) throw std::runtime_error(std::to_string(thread));
      });
      ADD_FAILURE() << thrower;
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), std::to_string(thrower));
    }
    // And the pool is as good as new.
    std::atomic<int> calls{0};
    pool.run([&](int) { ++calls; });
    EXPECT_EQ(calls.load(), GetParam());
  }
  EXPECT_THROW(pool.run([](int) { throw std::runtime_error("all"); }), std::runtime_error);
}

// What one loop writes the next may read without further synchronisation, on another thread.
TEST_P(ThreadPoolTest, LoopsFollowEachOther) {
  ThreadPool pool(GetParam());
  const auto threads = static_cast<size_t>(GetParam());
  std::vector<int64_t> values(threads, 0);
  std::vector<int64_t> next(threads, 0);
  constexpr int64_t kLoops = 3000;
  for (int64_t loop = 0; loop < kLoops; ++loop) {
    pool.run([&](int thread) {
      const auto i = static_cast<size_t>(thread);
      next[i] = values[(i + 1) % threads] + 1;
    });
    std::swap(values, next);
  }
  EXPECT_EQ(values, std::vector<int64_t>(threads, kLoops));
}

TEST_P(ThreadPoolTest, WakesAfterSleeping) {
  ThreadPool pool(GetParam());
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // longer than it spins
    std::atomic<int> calls{0};
    pool.run([&](int) { ++calls; });
    EXPECT_EQ(calls.load(), GetParam());
  }
}

// A thread that is held up does not hold up the tasks.
TEST(ThreadPoolTasksTest, FreeThreadsTakeTheTasksOfBusyOnes) {
  ThreadPool pool(3);
  std::atomic<int> done{0};
  int done_before_first = 0;
  pool.run_tasks(20, [&](int, int64_t task) {
    if (task == 0) {
      for (int wait = 0; wait < 10'000 && done.load() < 19; ++wait) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      done_before_first = done.load();
    }
    ++done;
  });
  EXPECT_EQ(done_before_first, 19);
}

TEST(ThreadPoolLifeTest, StopsWithoutHavingRun) {
  for (int i = 0; i < 50; ++i) ThreadPool pool(1 + i % 4);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 5));

TEST(ThreadPoolPinTest, WorkersStayOnTheirProcessors) {
  const std::vector<int> processors = usable_processors();
  ThreadPool pool(std::min(3, static_cast<int>(processors.size())));
  pool.pin(processors);
  std::vector<int> seen(static_cast<size_t>(pool.thread_count()), -1);
  std::atomic<int> begun{0};
  pool.run([&](int thread) {
    // Until all have begun, so that the caller takes nobody's part.
    begun.fetch_add(1);
    while (begun.load() < pool.thread_count()) std::this_thread::yield();
    if (thread > 0) seen[static_cast<size_t>(thread)] = ::sched_getcpu();
  });
  for (size_t i = 1; i < seen.size(); ++i) EXPECT_EQ(seen[i], processors[i]);
}

TEST(ThreadPoolPinTest, RefusesMoreThreadsThanProcessors) {
  ThreadPool pool(2);
  const std::vector<int> one = {0};
  EXPECT_THROW(pool.pin(one), Error);
  const std::vector<int> unknown = {0, 1023};
  EXPECT_THROW(pool.pin(unknown), Error);
  int calls = 0;
  pool.run([&](int thread) { calls += thread == 0 ? 1 : 0; });
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace beryl::backend
