#include "engine/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace beryl::engine {
namespace {

void insert_in_order(std::vector<Stream*>& streams, Stream& stream) {
  const auto place = std::find_if(streams.begin(), streams.end(),
                                  [&](const Stream* other) { return stream.goes_before(*other); });
  streams.insert(place, &stream);
}

// Sliding pages that a stream holds at most between two steps, and a page to go on with.
int64_t window_pages(const PagePools& pools) {
  return (pools.window + pools.tokens_per_page - 2) / pools.tokens_per_page + 2;
}

// Free pages for each stream that runs without which no other is admitted, so that it is not preempted at
// once.
constexpr int64_t kReservedPages = 4;

}  // namespace

bool Stream::goes_before(const Stream& other) const {
  if (request().priority != other.request().priority) return request().priority > other.request().priority;
  return arrival < other.arrival;
}

Scheduler::Scheduler(PagePools& pools, PrefixCache& cache, const EngineOptions& options)
    : pools_(pools), cache_(cache), options_(options) {}

void Scheduler::add(Stream& stream) {
  stream.arrival = arrivals_++;
  insert_in_order(waiting_, stream);
}

void Scheduler::remove(Stream& stream) {
  std::erase(waiting_, &stream);
  std::erase(running_, &stream);
  stream.pages.clear();
}

StepPlan Scheduler::plan(int64_t prompt_tokens_max) {
  prompt_rows_left_ = options_.prompt_rows_max;
  StepPlan plan;
  plan_decoding(plan);
  admit(plan);
  const int64_t tokens_max = plan.decoding > 0 ? prompt_tokens_max : options_.chunk_tokens;
  plan_prompts(plan, tokens_max);
  // Prompts that hold each other's pages: the last in order makes room for those before it.
  while (plan.parts.empty() && running_.size() > 1) {
    preempt(*running_.back());
    plan_prompts(plan, tokens_max);
  }
  return plan;
}

// Front to back, so that whoever is preempted is not part of the plan yet.
void Scheduler::plan_decoding(StepPlan& plan) {
  for (size_t i = 0; i < running_.size(); ++i) {
    Stream& stream = *running_[i];
    if (!stream.is_decoding()) continue;
    const PageTable::Need need = stream.pages.need_for(stream.length());
    while (!make_free(need) && running_.back() != &stream) preempt(*running_.back());
    if (!make_free(need)) {
      if (running_.size() > 1) preempt(stream);
      return;
    }
    stream.pages.extend_to(stream.length());
    plan.parts.push_back({.stream = &stream, .first = stream.computed, .count = 1});
    ++plan.decoding;
  }
}

void Scheduler::admit(StepPlan& plan) {
  for (size_t i = 0; i < waiting_.size();) {
    if (static_cast<int64_t>(running_.size()) >= options_.sequences_max) return;
    Stream& stream = *waiting_[i];
    if (!stream.may_start()) {
      ++i;
      continue;
    }
    if (!try_admit(stream, plan)) return;
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    insert_in_order(running_, stream);
  }
}

bool Scheduler::try_admit(Stream& stream, StepPlan& plan) {
  // From here on the snapshot's pages are not the prefix cache's alone.
  const std::unique_ptr<Snapshot> snapshot = find_snapshot(stream);
  PageTable::Need need =
      snapshot ? stream.pages.need_for(stream.length(), *snapshot) : stream.pages.need_for(stream.length());
  need.sliding = std::min(need.sliding, window_pages(pools_));
  if (!running_.empty()) {
    const PageTable::Need has = available();
    const PageTable::Need owed = promised();
    const int64_t reserve = kReservedPages * static_cast<int64_t>(running_.size());
    if (need.full + owed.full + reserve > has.full) return false;
    if (need.sliding + owed.sliding + reserve > has.sliding) return false;
  }
  const int64_t copied = snapshot && snapshot->length() % pools_.tokens_per_page != 0 ? 1 : 0;
  if (snapshot && make_free({.sliding = copied, .full = copied})) {
    stream.pages.resume(*snapshot, plan.copies);
    stream.computed = snapshot->length();
  }
  if (may_use_cache(stream)) ++counters_.prefix_queries;
  if (stream.computed > 0) ++counters_.prefix_hits;
  if (!stream.was_admitted) stream.result.cached_tokens = stream.computed;
  stream.was_admitted = true;
  return true;
}

bool Scheduler::may_use_cache(const Stream& stream) const {
  const Request& request = stream.request();
  return options_.has_prefix_cache && request.uses_prefix_cache && !stream.wants_prompt_rows();
}

std::unique_ptr<Snapshot> Scheduler::find_snapshot(const Stream& stream) {
  if (stream.shared->snapshot) return stream.shared->snapshot->clone();
  if (!may_use_cache(stream)) return {};
  return cache_.find(stream.request().cache_salt, stream.tokens, stream.length() - 1);
}

void Scheduler::plan_prompts(StepPlan& plan, int64_t tokens_max) {
  std::vector<Stream*> prompts;
  for (Stream* stream : running_) {
    const bool is_planned = std::any_of(plan.parts.begin(), plan.parts.end(),
                                        [&](const StepPart& part) { return part.stream == stream; });
    if (!is_planned) prompts.push_back(stream);
  }
  if (prompts.empty()) return;
  const Stream* oldest = prompts.front();
  std::ranges::sort(prompts, [](const Stream* a, const Stream* b) {
    return a->remaining() != b->remaining() ? a->remaining() < b->remaining() : a->goes_before(*b);
  });
  // What goes to the oldest is held back from those that are shorter.
  int64_t left = tokens_max;
  int64_t held_back = std::min(oldest->remaining(), (tokens_max + 1) / 2);
  for (Stream* stream : prompts) {
    if (stream == oldest) held_back = 0;
    left -= plan_prompt(*stream, left - held_back, plan);
  }
}

int64_t Scheduler::plan_prompt(Stream& stream, int64_t tokens_max, StepPlan& plan) {
  int64_t count = std::min(stream.remaining(), tokens_max);
  const bool has_rows = stream.wants_prompt_rows();
  if (has_rows) count = std::min(count, prompt_rows_left_);
  if (count <= 0) return 0;
  if (!make_free(stream.pages.need_for(stream.computed + count))) {
    // As far as there are pages for.
    const PageTable::Need has = available();
    const int64_t in_own_page = pools_.pages_for(stream.computed) * pools_.tokens_per_page - stream.computed;
    count = std::min(count, in_own_page + std::min(has.sliding, has.full) * pools_.tokens_per_page);
    if (count <= 0 || !make_free(stream.pages.need_for(stream.computed + count))) return 0;
  }
  stream.pages.extend_to(stream.computed + count);
  plan.parts.push_back({.stream = &stream, .first = stream.computed, .count = count});
  plan.prompt_tokens += count;
  if (has_rows) prompt_rows_left_ -= count;
  return count;
}

bool Scheduler::make_free(PageTable::Need need) {
  const auto is_enough = [&](PageTable::Need has) {
    return has.sliding >= need.sliding && has.full >= need.full;
  };
  if (is_enough({.sliding = pools_.sliding.free(), .full = pools_.full.free()})) return true;
  while (!is_enough(available())) {
    if (!drop_waiting_snapshot()) return false;
  }
  while (!is_enough({.sliding = pools_.sliding.free(), .full = pools_.full.free()})) {
    BERYL_CHECK(cache_.evict_one());
  }
  return true;
}

bool Scheduler::drop_waiting_snapshot() {
  for (auto stream = waiting_.rbegin(); stream != waiting_.rend(); ++stream) {
    if (!(*stream)->shared->snapshot) continue;
    (*stream)->shared->snapshot.reset();
    return true;
  }
  return false;
}

PageTable::Need Scheduler::available() const {
  return {.sliding = pools_.sliding.free() + cache_.reclaimable_sliding_pages(),
          .full = pools_.full.free() + cache_.reclaimable_full_pages()};
}

PageTable::Need Scheduler::promised() const {
  PageTable::Need sum;
  for (const Stream* stream : running_) {
    const PageTable::Need need = stream->pages.need_for(stream->length());
    sum.full += need.full;
    sum.sliding += std::min(need.sliding, window_pages(pools_));
  }
  return sum;
}

void Scheduler::preempt(Stream& stream) {
  ++counters_.preemptions;
  stream.pages.clear();
  stream.computed = 0;
  std::erase(running_, &stream);
  insert_in_order(waiting_, stream);
}

}  // namespace beryl::engine
