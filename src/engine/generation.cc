#include "engine/generation.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace beryl::engine {
namespace {

constexpr auto kCancelInterval = std::chrono::milliseconds(20);

// Passes everything on, and lets another thread wait for the end.
class WaitingListener final : public RequestListener {
 public:
  explicit WaitingListener(RequestListener& listener) : listener_(listener) {}

  void on_prompt_token(int64_t position, const Sample& token) override {
    listener_.on_prompt_token(position, token);
  }
  void on_logits(int32_t sample, int64_t position, std::span<const float> logits) override {
    listener_.on_logits(sample, position, logits);
  }
  bool on_token(int32_t sample, const Sample& token) override { return listener_.on_token(sample, token); }
  void on_finish(const SampleResult& result) override {
    listener_.on_finish(result);
    const std::lock_guard lock(mutex_);
    result_ = result;
    ended_.notify_one();
  }

  // The result, when it comes within `interval`.
  std::optional<SampleResult> wait_for(std::chrono::milliseconds interval) {
    std::unique_lock lock(mutex_);
    ended_.wait_for(lock, interval, [this] { return result_.has_value(); });
    return result_;
  }

 private:
  RequestListener& listener_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<SampleResult> result_;
};

class TokenListener final : public RequestListener {
 public:
  explicit TokenListener(const std::function<bool(int32_t)>& on_token) : on_token_(on_token) {}
  bool on_token(int32_t /*sample*/, const Sample& token) override { return on_token_(token.token); }
  void on_finish(const SampleResult& /*result*/) override {}

 private:
  const std::function<bool(int32_t)>& on_token_;
};

}  // namespace

SampleResult run_request(Engine& engine, Request request, RequestListener& listener,
                         const std::function<bool()>& should_cancel) {
  const auto waiting = std::make_shared<WaitingListener>(listener);
  request.listener = waiting;
  const RequestId id = engine.submit(std::move(request));
  std::optional<SampleResult> result;
  for (bool is_cancelled = false; !result; result = waiting->wait_for(kCancelInterval)) {
    if (is_cancelled || !should_cancel || !should_cancel()) continue;
    is_cancelled = true;
    engine.cancel(id);
  }
  if (result->error) std::rethrow_exception(result->error);
  return std::move(*result);
}

SampleResult generate(Engine& engine, std::span<const int32_t> prompt, const GenerationOptions& options,
                      const std::function<bool(int32_t)>& on_token) {
  TokenListener listener(on_token);
  return run_request(engine,
                     {.prompt = {prompt.begin(), prompt.end()},
                      .sampling = options.sampling,
                      .end_tokens = options.end_tokens,
                      .new_tokens_max = options.new_tokens_max,
                      .make_constraint = options.make_constraint,
                      .snapshot_positions = options.snapshot_positions,
                      .listener = nullptr},
                     listener, options.should_cancel);
}

}  // namespace beryl::engine
