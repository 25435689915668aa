// Who runs in the next step: a policy without threads or clock. State in, plan out.
//
//   - Answers that are being generated get one token each, those first that go_before() others.
//   - Prompts share the tokens that are left: half goes to the oldest, so that none starves, the rest to
//   those
//     that have least left, so that short ones need not wait for long ones.
//   - Waiting requests are admitted in order while there is a place and pages for all that is known of them;
//   no
//     one overtakes a request that waits for pages.
//   - When pages run out, what only the prefix cache holds is let go, least recently used first; then the
//     stream that is last in order gives up all its pages and waits, to compute them again.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/engine_options.h"
#include "engine/page_table.h"
#include "engine/prefix_cache.h"
#include "engine/stream.h"

namespace beryl::engine {

// Tokens [first, first + count) of a stream.
struct StepPart {
  Stream* stream = nullptr;
  int64_t first = 0;
  int64_t count = 0;
};

struct SchedulerCounters {
  uint64_t preemptions = 0;
  uint64_t prefix_queries = 0;  // streams that were admitted and might have begun with a snapshot
  uint64_t prefix_hits = 0;     // that did
};

struct StepPlan {
  std::vector<StepPart> parts;   // their pages are taken
  std::vector<PageCopy> copies;  // to be made first, in this order
  int64_t prompt_tokens = 0;     // of parts that do not just continue an answer
  int64_t decoding = 0;          // parts that do
};

class Scheduler {
 public:
  // Borrows pools and cache.
  Scheduler(PagePools& pools, PrefixCache& cache, const EngineOptions& options);

  // The stream waits from now on. Borrowed until remove().
  void add(Stream& stream);
  // The stream ends: its pages are given back.
  void remove(Stream& stream);

  // What to compute next, with at most `prompt_tokens_max` tokens of prompts in it when anything is decoding,
  // and at most chunk_tokens otherwise. Not empty while a stream waits or runs that may_start(), given that
  // each stream alone fits into the pools.
  StepPlan plan(int64_t prompt_tokens_max);

  const std::vector<Stream*>& waiting() const { return waiting_; }
  const std::vector<Stream*>& running() const { return running_; }
  const SchedulerCounters& counters() const { return counters_; }

 private:
  void plan_decoding(StepPlan& plan);
  void admit(StepPlan& plan);
  bool try_admit(Stream& stream, StepPlan& plan);
  // What the stream can begin with; null: nothing.
  std::unique_ptr<Snapshot> find_snapshot(const Stream& stream);
  bool may_use_cache(const Stream& stream) const;
  void plan_prompts(StepPlan& plan, int64_t tokens_max);
  // Adds a part of at most `tokens_max` tokens, as far as pages and logits rows allow; returns its tokens.
  int64_t plan_prompt(Stream& stream, int64_t tokens_max, StepPlan& plan);

  // Makes the pages free by forgetting what only the prefix cache, or samples that wait to share a prompt,
  // hold. False: there are not so many.
  bool make_free(PageTable::Need need);
  bool drop_waiting_snapshot();
  // Free or only held by the prefix cache.
  PageTable::Need available() const;
  // Pages that running streams will take for tokens that they already have.
  PageTable::Need promised() const;
  void preempt(Stream& stream);

  PagePools& pools_;
  PrefixCache& cache_;
  EngineOptions options_;
  uint64_t arrivals_ = 0;
  SchedulerCounters counters_;
  int64_t prompt_rows_left_ = 0;  // logits rows that this plan's prompts may still ask for
  std::vector<Stream*> waiting_;  // both in the order of goes_before()
  std::vector<Stream*> running_;
};

}  // namespace beryl::engine
