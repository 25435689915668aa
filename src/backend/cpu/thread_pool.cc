#include "backend/cpu/thread_pool.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <chrono>
#include <system_error>

#include "base/check.h"
#include "base/error.h"

namespace beryl::backend {
namespace {

// How long to watch before sleeping: longer than the gap between two loops of a step, and not much longer
// than it takes to be woken.
constexpr std::chrono::microseconds kWatchTime{50};
// Looks between two looks at the clock.
constexpr int kLooks = 64;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Returns when `number` is no longer `old`.
template <typename Number>
void wait_for_change(const std::atomic<Number>& number, Number old) {
  const auto changes_soon = [&] {
    for (int look = 0; look < kLooks; ++look) {
      if (number.load(std::memory_order_acquire) != old) return true;
      relax();
    }
    return false;
  };
  if (changes_soon()) return;
  const auto start = std::chrono::steady_clock::now();
  do {
    if (changes_soon()) return;
  } while (std::chrono::steady_clock::now() - start < kWatchTime);
  number.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int thread_count) : claims_(static_cast<size_t>(thread_count)) {
  BERYL_CHECK(thread_count >= 1);
  for (int thread = 1; thread < thread_count; ++thread)
    workers_.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  loop_.fetch_add(1, std::memory_order_release);
  loop_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::pin(std::span<const int> processors) {
  if (static_cast<size_t>(thread_count()) > processors.size()) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{} threads cannot have a processor each: the process may use {}", thread_count(),
                            processors.size()),
                "use fewer threads (--threads), or do not bind them");
  }
  for (size_t i = 0; i < workers_.size(); ++i) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processors[i + 1], &set);
    const int failure = ::pthread_setaffinity_np(workers_[i].native_handle(), sizeof(set), &set);
    if (failure == 0) continue;
    throw Error(ErrorCode::kResource,
                fmt::format("cannot bind a thread to processor {}: {}", processors[i + 1],
                            std::generic_category().message(failure)),
                "do not bind threads on this system");
  }
}

void ThreadPool::run(const std::function<void(int)>& body) {
  if (workers_.empty()) {
    body(0);
    return;
  }
  body_ = &body;
  failure_ = nullptr;
  unfinished_.store(thread_count(), std::memory_order_relaxed);
  const uint32_t loop = loop_.fetch_add(1, std::memory_order_release) + 1;
  loop_.notify_all();
  for (int thread = 0; thread < thread_count(); ++thread) run_part(thread, loop);
  for (int32_t unfinished = unfinished_.load(std::memory_order_acquire); unfinished != 0;
       unfinished = unfinished_.load(std::memory_order_acquire)) {
    wait_for_change(unfinished_, unfinished);
  }
  if (failure_) std::rethrow_exception(failure_);
}

void ThreadPool::run_ranges(int64_t count, int64_t inline_below,
                            const std::function<void(int64_t, int64_t)>& body) {
  if (count < inline_below || thread_count() == 1) {
    if (count > 0) body(0, count);
    return;
  }
  run([&](int thread) {
    const int64_t begin = count * thread / thread_count();
    const int64_t end = count * (thread + 1) / thread_count();
    if (begin < end) body(begin, end);
  });
}

void ThreadPool::run_tasks(int64_t count, const std::function<void(int, int64_t)>& body) {
  next_task_.store(0, std::memory_order_relaxed);
  const auto take = [&] { return next_task_.fetch_add(1, std::memory_order_relaxed); };
  const auto work_off = [&](int thread) {
    for (int64_t task = take(); task < count; task = take()) body(thread, task);
  };
  if (count <= 1) {
    work_off(0);
  } else {
    run(work_off);
  }
}

void ThreadPool::work(int thread) {
  uint32_t seen = 0;
  while (true) {
    wait_for_change(loop_, seen);
    seen = loop_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    run_part(thread, seen);
  }
}

// Every part is begun in every loop, so whoever gets from the last loop's number to this one's has the part,
// and the loop cannot end before the part does. Whoever comes late finds a later number.
void ThreadPool::run_part(int thread, uint32_t loop) {
  uint32_t last = loop - 1;
  if (!claims_[static_cast<size_t>(thread)].loop.compare_exchange_strong(last, loop)) return;
  try {
    (*body_)(thread);
  } catch (...) {
    const std::lock_guard lock(failure_mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
  if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
}

}  // namespace beryl::backend
