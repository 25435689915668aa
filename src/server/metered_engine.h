// An engine whose requests are counted.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "server/api_context.h"
#include "server/metrics.h"

namespace beryl::server {

// Borrows the engine and the metrics.
class MeteredEngine final : public EnginePort {
 public:
  MeteredEngine(EnginePort& engine, Metrics& metrics) : engine_(engine), metrics_(metrics) {}

  engine::RequestId submit(engine::Request request) override {
    request.listener = std::make_shared<Listener>(metrics_, request);
    return engine_.submit(std::move(request));
  }
  void cancel(engine::RequestId id) override { engine_.cancel(id); }
  engine::EngineStats stats() const override { return engine_.stats(); }
  bool is_full() const override { return engine_.is_full(); }

 private:
  // Passes everything on, and adds the request up when the last of its answers has ended.
  class Listener final : public engine::RequestListener {
   public:
    Listener(Metrics& metrics, const engine::Request& request)
        : metrics_(metrics),
          next_(request.listener),
          figures_({.samples = request.samples, .new_tokens_max = request.new_tokens_max}) {}

    void on_prompt_token(int64_t position, const engine::Sample& token) override {
      next_->on_prompt_token(position, token);
    }
    void on_logits(int32_t sample, int64_t position, std::span<const float> logits) override {
      next_->on_logits(sample, position, logits);
    }
    bool on_token(int32_t sample, const engine::Sample& token) override {
      return next_->on_token(sample, token);
    }
    void on_finish(const engine::SampleResult& result) override {
      figures_.longest_answer = std::max(figures_.longest_answer, static_cast<int64_t>(result.tokens.size()));
      if (++ended_ == figures_.samples) metrics_.on_request(figures_);
      next_->on_finish(result);
    }

   private:
    Metrics& metrics_;
    const std::shared_ptr<engine::RequestListener> next_;
    RequestFigures figures_;
    int32_t ended_ = 0;
  };

  EnginePort& engine_;
  Metrics& metrics_;
};

}  // namespace beryl::server
