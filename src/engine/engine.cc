#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace beryl::engine {

Engine::Engine(ModelRunner& runner, const EngineOptions& options)
    : options_(options),
      window_(runner.window()),
      vocabulary_size_(runner.vocabulary_size()),
      core_(runner, options, std::chrono::steady_clock::now),
      stats_(core_.stats()),
      thread_([this] { run(); }) {}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
    has_cancelled_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

RequestId Engine::submit(Request request) {
  validate(request, options_, window_, vocabulary_size_);
  const auto tokens = static_cast<int64_t>(request.prompt.size());
  RequestId id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (is_draining_) {
      throw Error(ErrorCode::kBusy, "no more requests are taken, since the engine is being shut down");
    }
    if (waiting_requests_ + 1 > options_.queue_requests_max ||
        waiting_tokens_ + tokens > options_.queue_tokens_max) {
      throw Error(
          ErrorCode::kBusy,
          fmt::format("the queue is full: {} requests with {} tokens are waiting, allowed are {} with {}",
                      waiting_requests_, waiting_tokens_, options_.queue_requests_max,
                      options_.queue_tokens_max),
          "try again later");
    }
    id = next_id_++;
    ++waiting_requests_;
    waiting_tokens_ += tokens;
    is_idle_ = false;
    inbox_.requests.push_back(
        {.id = id, .request = std::move(request), .submitted_at = std::chrono::steady_clock::now()});
  }
  wake_.notify_one();
  return id;
}

bool Engine::is_full() const {
  const std::lock_guard lock(mutex_);
  return waiting_requests_ >= options_.queue_requests_max || waiting_tokens_ >= options_.queue_tokens_max;
}

void Engine::cancel(RequestId id) {
  {
    const std::lock_guard lock(mutex_);
    inbox_.cancelled.push_back(id);
    has_cancelled_ = true;
  }
  wake_.notify_one();
}

bool Engine::wait_until_idle(TimePoint deadline) {
  std::unique_lock lock(mutex_);
  return idle_.wait_until(lock, deadline, [this] { return is_idle_; });
}

bool Engine::drain(TimePoint deadline) {
  {
    const std::lock_guard lock(mutex_);
    is_draining_ = true;
  }
  return wait_until_idle(deadline);
}

EngineStats Engine::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Engine::run() {
  for (Inbox inbox; take_inbox(inbox); inbox = {}) {
    for (SubmittedRequest& request : inbox.requests) core_.add(std::move(request));
    for (const RequestId id : inbox.cancelled) core_.cancel(id);
    core_.step([this](RequestId id) { return is_cancelled(id); }, [this] { publish(); });
    publish();
  }
  for (const RequestStatus& status : core_.stats().requests) core_.cancel(status.id);
}

bool Engine::take_inbox(Inbox& inbox) {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return is_ending_ || core_.has_work() || !inbox_.empty(); });
  inbox = std::exchange(inbox_, {});
  has_cancelled_ = is_ending_;
  if (!is_ending_) return true;
  // Their listeners hear of the end as well.
  for (SubmittedRequest& request : inbox.requests) core_.add(std::move(request));
  return false;
}

bool Engine::is_cancelled(RequestId id) {
  if (!has_cancelled_.load(std::memory_order_relaxed)) return false;
  const std::lock_guard lock(mutex_);
  return is_ending_ || std::ranges::find(inbox_.cancelled, id) != inbox_.cancelled.end();
}

void Engine::publish() {
  EngineStats stats = core_.stats();
  const std::lock_guard lock(mutex_);
  waiting_requests_ = stats.waiting + static_cast<int64_t>(inbox_.requests.size());
  waiting_tokens_ = stats.waiting_tokens;
  for (const SubmittedRequest& request : inbox_.requests) {
    waiting_tokens_ += static_cast<int64_t>(request.request.prompt.size());
  }
  stats_ = std::move(stats);
  is_idle_ = !core_.has_work() && inbox_.empty();
  if (is_idle_) idle_.notify_all();
}

}  // namespace beryl::engine
