#include "backend/cpu/thread_pool.h"

#include "base/check.h"

namespace beryl::backend {
namespace {

// How often to look before sleeping: about 50 microseconds, longer than the gap between two loops of a step.
constexpr int kSpins = 20'000;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int thread_count) {
  BERYL_CHECK(thread_count >= 1);
  for (int thread = 1; thread < thread_count; ++thread)
    workers_.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1);
  }
  start_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(const std::function<void(int)>& body) {
  if (workers_.empty()) {
    body(0);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    body_ = &body;
    failure_ = nullptr;
    running_.store(static_cast<int>(workers_.size()));
    generation_.fetch_add(1);
  }
  start_.notify_all();
  run_body(0);
  for (int spin = 0; spin < kSpins && running_.load() != 0; ++spin) relax();
  std::unique_lock lock(mutex_);
  finish_.wait(lock, [this] { return running_.load() == 0; });
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

void ThreadPool::work(int thread) {
  uint64_t seen = 0;
  while (true) {
    for (int spin = 0; spin < kSpins && generation_.load() == seen; ++spin) relax();
    {
      std::unique_lock lock(mutex_);
      start_.wait(lock, [&] { return generation_.load() != seen; });
      seen = generation_.load();
      if (stop_) return;
    }
    run_body(thread);
    const std::lock_guard lock(mutex_);
    if (running_.fetch_sub(1) == 1) finish_.notify_one();
  }
}

void ThreadPool::run_body(int thread) {
  try {
    (*body_)(thread);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

}  // namespace beryl::backend
