// An engine::Engine as the protocol sees it.
#pragma once

#include <algorithm>
#include <utility>

#include "engine/engine.h"
#include "server/api_context.h"

namespace beryl::server {

// Borrows the engine.
class LiveEngine final : public EnginePort {
 public:
  explicit LiveEngine(engine::Engine& engine) : engine_(engine) {}

  engine::RequestId submit(engine::Request request) override { return engine_.submit(std::move(request)); }
  void cancel(engine::RequestId id) override { engine_.cancel(id); }
  engine::EngineStats stats() const override { return engine_.stats(); }
  // As of the last step; submit() has the last word.
  bool is_full() const override {
    const engine::EngineStats now = engine_.stats();
    const auto waiting = std::ranges::count_if(now.requests, [](const engine::RequestStatus& request) {
      return request.sample == 0 && !request.is_running;
    });
    return waiting >= engine_.options().queue_requests_max ||
           now.waiting_tokens >= engine_.options().queue_tokens_max;
  }

 private:
  engine::Engine& engine_;
};

}  // namespace beryl::server
