// Many requests on one model: the engine's thread owns the model's pages and runs step after step; any thread
// may submit, cancel and look.
//
//   Engine engine(runner, plan, {});
//   const RequestId id = engine.submit({.prompt = ids, .new_tokens_max = 100, .listener = listener});
//
// A request's tokens are the same bits as if it ran alone.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/engine_core.h"
#include "engine/engine_options.h"
#include "engine/model_runner.h"
#include "engine/request.h"

namespace beryl::engine {

class Engine {
 public:
  // The runner's pages must be those of the options. Borrows the runner, which only this engine's thread uses
  // from here on.
  Engine(ModelRunner& runner, const EngineOptions& options);
  // Cancels what is left and waits for its listeners to be told.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Errors, all before anything is queued: kInvalidInput for a request that is malformed or could never fit
  // (with the numbers); kBusy when the queue is full, or after drain(). The listener may be called before
  // this returns.
  RequestId submit(Request request);
  // Whether submit() would find the queue full now, even for the shortest prompt.
  bool is_full() const;
  // Ends a request at the next layer of the model, when the step is mostly its own, or else at the end of the
  // step. Nothing when it has ended.
  void cancel(RequestId id);
  // True when all requests have ended, and stats() knows of it, before `deadline`.
  bool wait_until_idle(TimePoint deadline);
  // Takes no more requests, and waits like wait_until_idle().
  bool drain(TimePoint deadline);

  EngineStats stats() const;
  const EngineOptions& options() const { return options_; }

 private:
  struct Inbox {
    std::vector<SubmittedRequest> requests;
    std::vector<RequestId> cancelled;
    bool empty() const { return requests.empty() && cancelled.empty(); }
  };

  void run();
  // Waits for work. False: the engine is being destroyed.
  bool take_inbox(Inbox& inbox);
  bool is_cancelled(RequestId id);
  void publish();

  const EngineOptions options_;
  const int64_t window_;
  const int64_t vocabulary_size_;
  EngineCore core_;  // the engine thread's alone

  mutable std::mutex mutex_;
  std::condition_variable wake_;  // there is work, or the end
  std::condition_variable idle_;  // nothing is left to do
  Inbox inbox_;
  int64_t waiting_requests_ = 0;  // the inbox included
  int64_t waiting_tokens_ = 0;
  EngineStats stats_;  // as of the last step
  RequestId next_id_ = 1;
  bool is_idle_ = true;
  bool is_draining_ = false;
  bool is_ending_ = false;
  std::atomic<bool> has_cancelled_ = false;  // the inbox has cancels, or all is cancelled
  std::thread thread_;                       // last: runs from the constructor on
};

}  // namespace beryl::engine
