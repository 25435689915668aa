#include "eval/eval_generation.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/error.h"

namespace beryl::eval {
namespace {

using engine::FinishReason;
using engine::SampleResult;

constexpr std::chrono::milliseconds kLookEvery{100};
// A shorter common beginning, such as the opening of a chat template, is not worth waiting for.
constexpr int64_t kPrefixMin = 64;

// What the engine's thread tells the waiting one.
class Mailbox {
 public:
  void add(size_t task, const SampleResult& result) {
    {
      const std::lock_guard lock(mutex_);
      finished_.emplace_back(task, result);
      has_news_ = true;
    }
    changed_.notify_one();
  }
  void note_token() {
    {
      const std::lock_guard lock(mutex_);
      if (has_token_) return;
      has_token_ = true;
      has_news_ = true;
    }
    changed_.notify_one();
  }
  bool has_token() const {
    const std::lock_guard lock(mutex_);
    return has_token_;
  }
  // What has finished; waits a moment when nothing has happened.
  std::vector<std::pair<size_t, SampleResult>> take() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kLookEvery, [&] { return has_news_; });
    has_news_ = false;
    return std::exchange(finished_, {});
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<size_t, SampleResult>> finished_;
  bool has_token_ = false;  // some answer has begun
  bool has_news_ = false;
};

class TaskListener final : public engine::RequestListener {
 public:
  TaskListener(const GenerationTask& task, size_t index, std::shared_ptr<Mailbox> mailbox)
      : on_token_(task.on_token), index_(index), mailbox_(std::move(mailbox)) {}

  bool on_token(int32_t /*sample*/, const engine::Sample& token) override {
    mailbox_->note_token();
    return on_token_(token.token);
  }
  void on_finish(const SampleResult& result) override { mailbox_->add(index_, result); }

 private:
  std::function<bool(int32_t)> on_token_;
  size_t index_;
  std::shared_ptr<Mailbox> mailbox_;
};

class EngineRun {
 public:
  EngineRun(engine::Engine& engine, std::span<const GenerationTask> tasks)
      : engine_(engine), tasks_(tasks), prefix_(common_prefix(tasks)), ids_(tasks.size()) {
    const engine::EngineOptions& options = engine.options();
    // One more than it computes, so that it never waits for us.
    running_max_ = static_cast<size_t>(std::min(options.sequences_max + 1, options.queue_requests_max));
  }

  // What is left, as after an exception, must not call into tasks that are gone.
  ~EngineRun() {
    for (const auto& id : ids_) {
      if (id) engine_.cancel(*id);
    }
    while (running_ > 0) running_ -= mailbox_->take().size();
  }
  EngineRun(const EngineRun&) = delete;
  EngineRun& operator=(const EngineRun&) = delete;

  void run(const std::function<void(size_t, const Generated&)>& on_done,
           const std::function<bool()>& should_stop) {
    while ((next_ < tasks_.size() || running_ > 0) && !should_stop()) {
      while (next_ < tasks_.size() && running_ < running_max_ && may_begin()) submit(next_++);
      std::exception_ptr failure;
      for (const auto& [task, result] : mailbox_->take()) {
        --running_;
        ids_[task].reset();
        if (result.finish_reason == FinishReason::kFailed && !failure) failure = result.error;
        if (result.finish_reason == FinishReason::kStop || result.finish_reason == FinishReason::kLength) {
          on_done(task, {.new_tokens = static_cast<int64_t>(result.tokens.size()),
                         .prompt_tokens = result.prompt_tokens,
                         .cached_tokens = result.cached_tokens,
                         .finish_reason = result.finish_reason});
        }
      }
      if (failure) std::rethrow_exception(failure);
    }
  }

 private:
  // The first task computes what the others begin with.
  bool may_begin() const {
    return next_ == 0 || running_ == 0 || prefix_ < kPrefixMin || mailbox_->has_token();
  }

  void submit(size_t index) {
    const GenerationTask& task = tasks_[index];
    engine::Request request = {.prompt = task.prompt,
                               .sampling = task.sampling,
                               .end_tokens = task.end_tokens,
                               .new_tokens_max = task.new_tokens_max,
                               .listener = std::make_shared<TaskListener>(task, index, mailbox_)};
    if (prefix_ >= kPrefixMin) request.snapshot_positions = {prefix_};
    ids_[index] = engine_.submit(std::move(request));
    ++running_;
  }

  engine::Engine& engine_;
  std::span<const GenerationTask> tasks_;
  int64_t prefix_;
  size_t running_max_ = 1;
  std::vector<std::optional<engine::RequestId>> ids_;  // of those in progress
  std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  size_t next_ = 0;
  size_t running_ = 0;
};

}  // namespace

int64_t common_prefix(std::span<const GenerationTask> tasks) {
  if (tasks.size() < 2) return 0;
  const std::vector<int32_t>& first = tasks.front().prompt;
  auto end = first.end();
  for (const GenerationTask& task : tasks.subspan(1)) {
    end = std::mismatch(first.begin(), end, task.prompt.begin(), task.prompt.end()).first;
  }
  return end - first.begin();
}

Generate generate_on(engine::Engine& engine) {
  return [&engine](std::span<const GenerationTask> tasks, const auto& on_done, const auto& should_stop) {
    EngineRun(engine, tasks).run(on_done, should_stop);
  };
}

}  // namespace beryl::eval
