// What all requests to one API share.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <utility>

#include "engine/engine_options.h"
#include "engine/request.h"
#include "server/api_model.h"
#include "server/finish_rate.h"
#include "server/grammars.h"
#include "server/noted_names.h"

namespace beryl::server {

// What the protocol needs of an engine; engine_port.h has that of engine::Engine.
class EnginePort {
 public:
  virtual ~EnginePort() = default;
  // As those of engine::Engine.
  virtual engine::RequestId submit(engine::Request request) = 0;
  virtual void cancel(engine::RequestId id) = 0;
  virtual engine::EngineStats stats() const = 0;
  // The queue has no place for another request, which need not be read then.
  virtual bool is_full() const = 0;
};

// What the protocol tells its surroundings. Every function may be empty; all but metrics_text and warn are
// called on the engine's thread and must be quick.
struct ApiHooks {
  std::function<std::string()> metrics_text = {};           // of /metrics
  std::function<void(const std::string&)> warn = {};        // a line for the log
  std::function<void(double seconds)> on_first_token = {};  // of a request, since it arrived
  std::function<void(double seconds)> on_next_token = {};   // of an answer, since the one before
  std::function<void(const engine::SampleResult&, double seconds)> on_answer = {};  // since it arrived
};

struct ApiContext {
  ApiContext(ApiModel api_model, EnginePort& port, const text::grammar::GrammarLimits& grammar_limits)
      : model(std::move(api_model)), engine(port), grammars(model, grammar_limits) {}

  const ApiModel model;
  EnginePort& engine;
  Grammars grammars;
  ApiHooks hooks = {};
  std::string version = {};
  bool salts_by_client = false;  // callers with different keys share nothing in the prefix cache
  FinishRate finish_rate = {};
  std::atomic<bool> is_draining = false;
  NotedNames unknown_fields = {};  // that were warned of
  NotedNames noted_warnings = {};

  void warn(const std::string& line) const {
    if (hooks.warn) hooks.warn(line);
  }
};

}  // namespace beryl::server
