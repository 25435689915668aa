// A fixed set of threads that run one parallel loop at a time. Results never depend on the thread count: the
// loop body must give each index's result without regard to which thread computes it.
//
// Idle threads watch for the next loop for a short while, which is what a step of decoding needs, and then
// sleep, which is what other programs on the same processors need. Where those keep a thread from running,
// the caller does its part.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
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

  // Binds each thread but the caller's to a processor of its own, thread i to processors[i]. The caller's
  // stays free, and the system lets it have the one that is left. Errors: kInvalidInput when there are more
  // threads than processors, kResource when the system refuses.
  void pin(std::span<const int> processors);

  int thread_count() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs body(thread) for thread = 0 ... thread_count() - 1, each once, and waits for all. They run at once,
  // except that the caller takes over those whose threads have not begun when it is done with its own; so
  // none may wait for another. The first exception of any of them is rethrown here. Not reentrant; call it
  // from one thread.
  void run(const std::function<void(int thread)>& body);

  // Splits [0, count) into one contiguous range a thread and runs body(begin, end). Loops of fewer than
  // `inline_below` indices run on the caller alone.
  void run_ranges(int64_t count, int64_t inline_below,
                  const std::function<void(int64_t begin, int64_t end)>& body);

  // Runs body(thread, task) for task = 0 ... count - 1: each thread takes the next task as soon as it is done
  // with one, so tasks may differ in size and threads in speed.
  void run_tasks(int64_t count, const std::function<void(int thread, int64_t task)>& body);

 private:
  // The number of the last loop that thread's part has been begun in.
  struct alignas(64) Claim {
    std::atomic<uint32_t> loop{0};
  };

  void work(int thread);
  // Runs the part of `thread` in loop number `loop`, unless that has been begun.
  void run_part(int thread, uint32_t loop);

  const std::function<void(int)>* body_ = nullptr;  // the loop being run
  // Counts loops. Writing it publishes body_; workers wait for it to change. Each number that
  // threads wait for has a cache line of its own.
  alignas(64) std::atomic<uint32_t> loop_{0};
  alignas(64) std::atomic<int32_t> unfinished_{0};  // parts of the current loop
  alignas(64) std::atomic<int64_t> next_task_{0};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
  std::atomic<bool> stop_{false};
  std::vector<Claim> claims_;  // [threads]
  std::vector<std::thread> workers_;
};

}  // namespace beryl::backend
