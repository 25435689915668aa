// An engine::Engine as the protocol sees it.
#pragma once

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
  bool is_full() const override { return engine_.is_full(); }

 private:
  engine::Engine& engine_;
};

}  // namespace beryl::server
