// A fixed set of threads that run one parallel loop at a time. Results never depend on the thread count: the
// loop body must give each index's result without regard to which thread computes it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace beryl::backend {

class ThreadPool {
 public:
  // `thread_count` >= 1 threads, the caller's included.
  explicit ThreadPool(int thread_count);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int thread_count() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs body(thread) for thread = 0 ... thread_count() - 1 at once and waits for all. The first exception of
  // any of them is rethrown here. Not reentrant; call it from one thread.
  void run(const std::function<void(int thread)>& body);

  // Splits [0, count) into one contiguous range a thread and runs body(begin, end). Loops of fewer than
  // `inline_below` indices run on the caller alone.
  void run_ranges(int64_t count, int64_t inline_below,
                  const std::function<void(int64_t begin, int64_t end)>& body);

 private:
  void work(int thread);
  void run_body(int thread);

  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable finish_;
  const std::function<void(int)>* body_ = nullptr;  // the loop being run
  std::atomic<uint64_t> generation_{0};             // counts loops; workers wait for it to change
  std::atomic<int> running_{0};                     // workers still busy with the current loop
  std::exception_ptr failure_;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace beryl::backend
