// The engine without its thread: step after step, as its caller wants. engine.h adds thread and locks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/engine_options.h"
#include "engine/logit_scan.h"
#include "engine/model_runner.h"
#include "engine/pages.h"
#include "engine/prefix_cache.h"
#include "engine/request.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "engine/step_sizer.h"
#include "engine/stream.h"

namespace beryl::engine {

struct SubmittedRequest {
  RequestId id = 0;
  Request request;
  TimePoint submitted_at;
};

// Errors: kInvalidInput, naming what is wrong, when a request is malformed, names tokens outside of the
// vocabulary, or can never fit.
void validate(const Request& request, const EngineOptions& options, int64_t window, int64_t vocabulary_size);

class EngineCore {
 public:
  using Clock = std::function<TimePoint()>;

  EngineCore(ModelRunner& runner, const EngineOptions& options, Clock clock);
  ~EngineCore();

  // A valid request with an id that was never used.
  void add(SubmittedRequest submitted);
  // Ends what is left of a request.
  void cancel(RequestId id);
  bool has_work() const { return !streams_.empty(); }
  // One pass of the model, and what follows from it. `on_planned` is called before the pass, when stats()
  // knows who takes part. `is_cancelled` is asked between layers: when requests that have half or more of the
  // step's tokens are cancelled, the pass is given up (and cancel() must follow).
  void step(const std::function<bool(RequestId)>& is_cancelled, const std::function<void()>& on_planned = {});

  EngineStats stats() const;
  const PagePools& pools() const { return pools_; }
  const PrefixCache& prefix_cache() const { return cache_; }
  const Scheduler& scheduler() const { return scheduler_; }
  void forget_prefixes() { cache_.clear(); }

 private:
  struct Pass;  // the arrays of one batch

  void expire_deadlines(TimePoint now);
  void note_starts(const StepPlan& plan, TimePoint now);
  // False: given up.
  bool run(const StepPlan& plan, const std::function<bool(RequestId)>& is_cancelled);
  // What one part's rows of logits lead to.
  void finish_part(const StepPart& part, std::span<const float> rows);
  // Rows [n, V] of the logits after tokens `first` and following of the text.
  void check_rows(int64_t first, std::span<const float> rows) const;
  void report_rows(Stream& stream, int64_t first, std::span<const float> rows);
  Sample draw_token(Stream& stream, std::span<const float> logits);
  void choose_token(Stream& stream, std::span<const float> logits);
  void keep_snapshots(Stream& stream, int64_t first, int64_t end);
  void prompt_is_computed(Stream& stream);
  void end(Stream& stream, FinishReason reason);
  void fail(Stream& stream, std::exception_ptr error);
  void remove_ended();
  int64_t logit_rows(const StepPart& part) const;

  ModelRunner& runner_;
  EngineOptions options_;
  Clock clock_;
  PagePools pools_;
  PrefixCache cache_;
  Scheduler scheduler_;
  StepSizer sizer_;
  Sampler sampler_;
  LogitScan prompt_scan_;
  EngineStats counters_;  // the counters of stats()
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<float> logits_;  // [rows, V]
};

}  // namespace beryl::engine
