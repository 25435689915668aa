#include "engine/engine_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "engine/logit_scan.h"
#include "engine/logprobs.h"

namespace beryl::engine {
namespace {

double seconds_between(TimePoint begin, TimePoint end) {
  return std::chrono::duration<double>(end - begin).count();
}

// A pass over the row that the compiler vectorises: all exponent bits are set in NaN and infinities alone.
bool is_finite(std::span<const float> row) {
  constexpr uint32_t kExponent = 0x7F800000;
  uint32_t bad = 0;
  for (const float value : row) bad |= (std::bit_cast<uint32_t>(value) & kExponent) == kExponent ? 1U : 0U;
  return bad == 0;
}

bool contains(std::span<const int32_t> tokens, int32_t token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

}  // namespace

// A plan as the model takes it.
struct EngineCore::Pass {
  explicit Pass(const StepPlan& plan) {
    for (const StepPart& part : plan.parts) {
      const auto sequence = static_cast<int32_t>(tables.size());
      tables.push_back(part.stream->pages.tables());
      for (int64_t position = part.first; position < part.first + part.count; ++position) {
        tokens.push_back(part.stream->tokens[static_cast<size_t>(position)]);
        sequences.push_back(sequence);
        positions.push_back(static_cast<int32_t>(position));
      }
    }
  }

  // The last `count` of the rows of a part that ends before row `end` need logits.
  void want_logits(int64_t end, int64_t count) {
    for (int64_t row = end - count; row < end; ++row) logit_rows.push_back(static_cast<int32_t>(row));
  }

  std::vector<int32_t> tokens, sequences, positions, logit_rows;
  std::vector<backend::PageTables> tables;
};

EngineCore::EngineCore(ModelRunner& runner, const EngineOptions& options, Clock clock)
    : runner_(runner),
      options_(options),
      clock_(std::move(clock)),
      pools_(options.tokens_per_page, runner.window(), options.sliding_pages, options.full_pages),
      cache_(pools_, options.prefix_sliding_pages),
      scheduler_(pools_, cache_, options),
      sizer_(options.step_seconds_max, options.chunk_tokens) {}

EngineCore::~EngineCore() = default;

void EngineCore::add(SubmittedRequest submitted) {
  auto shared = std::make_shared<SharedPrompt>();
  shared->id = submitted.id;
  shared->request = std::move(submitted.request);
  shared->submitted_at = submitted.submitted_at;
  for (int32_t sample = 0; sample < shared->request.samples; ++sample) {
    auto stream = std::make_unique<Stream>(pools_, shared, sample);
    stream->result.request = shared->id;
    stream->result.sample = sample;
    stream->sampling = shared->request.sampling;
    if (shared->request.new_tokens_min > 0) {
      std::vector<int32_t>& suppressed = stream->sampling.suppressed_tokens;
      suppressed.insert(suppressed.end(), shared->request.end_tokens.begin(),
                        shared->request.end_tokens.end());
    }
    stream->history.add_prompt(stream->tokens);
    scheduler_.add(*stream);
    streams_.push_back(std::move(stream));
  }
}

void EngineCore::cancel(RequestId id) {
  for (const auto& stream : streams_) {
    if (stream->shared->id == id && !stream->has_ended) end(*stream, FinishReason::kCancelled);
  }
  remove_ended();
}

void EngineCore::step(const std::function<bool(RequestId)>& is_cancelled,
                      const std::function<void()>& on_planned) {
  const TimePoint begin = clock_();
  expire_deadlines(begin);
  if (!has_work()) return;
  const StepPlan plan = scheduler_.plan(sizer_.prompt_tokens());
  BERYL_CHECK(!plan.parts.empty());
  note_starts(plan, begin);
  if (on_planned) on_planned();
  for (const PageCopy& copy : plan.copies) runner_.copy_page(copy.kind, copy.from, copy.to);
  try {
    if (!run(plan, is_cancelled)) {
      ++counters_.abandoned_steps;
      return;
    }
  } catch (...) {
    for (const StepPart& part : plan.parts) fail(*part.stream, std::current_exception());
    remove_ended();
    return;
  }
  std::span<const float> rows = logits_;
  const auto vocabulary = static_cast<size_t>(runner_.vocabulary_size());
  for (const StepPart& part : plan.parts) {
    const auto count = static_cast<size_t>(logit_rows(part)) * vocabulary;
    finish_part(part, rows.first(count));
    rows = rows.subspan(count);
  }
  remove_ended();

  const double seconds = seconds_between(begin, clock_());
  sizer_.add(plan.prompt_tokens, plan.decoding, seconds);
  ++counters_.steps;
  counters_.step_tokens.add(plan.prompt_tokens + plan.decoding);
  counters_.prompt_tokens_computed += static_cast<uint64_t>(plan.prompt_tokens);
  counters_.last_step_seconds = seconds;
  counters_.last_step_prompt_tokens = plan.prompt_tokens;
  counters_.last_step_new_tokens = plan.decoding;
}

void EngineCore::expire_deadlines(TimePoint now) {
  for (const auto& stream : streams_) {
    const auto& deadline = stream->request().deadline;
    if (deadline && *deadline <= now && !stream->has_ended) end(*stream, FinishReason::kDeadline);
  }
  remove_ended();
}

void EngineCore::note_starts(const StepPlan& plan, TimePoint now) {
  for (const StepPart& part : plan.parts) {
    Stream& stream = *part.stream;
    if (stream.started_at != TimePoint()) continue;
    stream.started_at = now;
    stream.result.queued_seconds = seconds_between(stream.shared->submitted_at, now);
    counters_.prompt_tokens_cached += static_cast<uint64_t>(stream.result.cached_tokens);
  }
}

int64_t EngineCore::logit_rows(const StepPart& part) const {
  const Stream& stream = *part.stream;
  const int64_t end = part.first + part.count;
  if (stream.wants_prompt_rows() && stream.prompt_rows_reported < stream.prompt_length) {
    return std::max<int64_t>(0, end - std::max(part.first, stream.prompt_rows_reported));
  }
  return end == stream.length() ? 1 : 0;
}

bool EngineCore::run(const StepPlan& plan, const std::function<bool(RequestId)>& is_cancelled) {
  Pass pass(plan);
  int64_t end = 0;
  for (const StepPart& part : plan.parts) {
    end += part.count;
    pass.want_logits(end, logit_rows(part));
  }
  const auto total = static_cast<int64_t>(pass.tokens.size());
  const auto should_stop = [&] {
    int64_t cancelled = 0;
    for (const StepPart& part : plan.parts) {
      if (is_cancelled(part.stream->shared->id)) cancelled += part.count;
    }
    return 2 * cancelled >= total;
  };
  logits_.resize(pass.logit_rows.size() * static_cast<size_t>(runner_.vocabulary_size()));
  return runner_.run(
      {.tokens = pass.tokens,
       .rows = {.sequences = pass.sequences, .positions = pass.positions, .tables = pass.tables},
       .logit_rows = pass.logit_rows,
       .should_stop = should_stop},
      logits_);
}

void EngineCore::finish_part(const StepPart& part, std::span<const float> rows) {
  Stream& stream = *part.stream;
  const int64_t end = part.first + part.count;
  const auto count = static_cast<int64_t>(rows.size()) / runner_.vocabulary_size();
  stream.computed = end;
  stream.result.prompt_tokens = std::max(stream.result.prompt_tokens,
                                         std::min(end, stream.prompt_length) - stream.result.cached_tokens);
  try {
    check_rows(end - count, rows);  // before anything of the part is kept
    report_rows(stream, end - count, rows);
    keep_snapshots(stream, part.first, end);
    if (end >= stream.prompt_length) prompt_is_computed(stream);
    if (end == stream.length()) {
      choose_token(stream, rows.last(static_cast<size_t>(runner_.vocabulary_size())));
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNumeric) ++counters_.numeric_errors;
    fail(stream, std::current_exception());
  } catch (...) {
    fail(stream, std::current_exception());
  }
  if (!stream.has_ended) stream.pages.recycle_before(stream.computed);
}

void EngineCore::check_rows(int64_t first, std::span<const float> rows) const {
  const auto vocabulary = static_cast<size_t>(runner_.vocabulary_size());
  for (size_t i = 0; i < rows.size() / vocabulary; ++i) {
    if (is_finite(rows.subspan(i * vocabulary, vocabulary))) continue;
    throw Error(
        ErrorCode::kNumeric,
        fmt::format("the logits after token {} of the text are not finite", first + static_cast<int64_t>(i)),
        "the checkpoint may be damaged; compare it with `beryl check`");
  }
}

void EngineCore::report_rows(Stream& stream, int64_t first, std::span<const float> rows) {
  const Request& request = stream.request();
  const auto vocabulary = static_cast<size_t>(runner_.vocabulary_size());
  for (; !rows.empty(); rows = rows.subspan(vocabulary), ++first) {
    const std::span<const float> row = rows.first(vocabulary);
    request.listener->on_logits(stream.sample, first, row);
    if (!stream.wants_prompt_rows() || first >= stream.prompt_length) continue;
    stream.prompt_rows_reported = first + 1;
    if (!request.prompt_logprobs || first + 1 == stream.prompt_length) continue;
    prompt_scan_.scan(row);
    const Logprobs logprobs(prompt_scan_);
    const int32_t token = stream.tokens[static_cast<size_t>(first + 1)];
    request.listener->on_prompt_token(
        first + 1, {.token = token,
                    .logprob = logprobs.of(token),
                    .top_logprobs = logprobs.top(static_cast<size_t>(*request.prompt_logprobs))});
  }
}

Sample EngineCore::draw_token(Stream& stream, std::span<const float> logits) {
  // Tells the number for a second draw from those for all first ones, being higher than any sample's index.
  constexpr uint32_t kSecondDraw = uint32_t{1} << 31;
  const Request& request = stream.request();
  SampleInput input = {.logits = logits,
                       .params = stream.sampling,
                       .history = stream.history,
                       .position = static_cast<uint64_t>(stream.length()),
                       .sample_index = static_cast<uint32_t>(stream.sample)};
  const Sample first = sampler_.sample(input);
  if (!request.make_constraint) return first;
  if (!stream.constraint) stream.constraint = request.make_constraint(runner_.vocabulary_size());
  // Most tokens are allowed, and asking for one is far cheaper than for all. Drawing again among the allowed
  // ones, by a number of its own, gives each of them the probability that it has among them: p + (1 - P) p /
  // P = p / P, where P is that of all allowed ones.
  if (stream.constraint->push(first.token)) return first;
  input.mask = &stream.constraint->mask();
  input.sample_index |= kSecondDraw;
  const Sample second = sampler_.sample(input);
  if (stream.constraint->push(second.token)) return second;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("the constraint refuses token {}, which its mask allows", second.token));
}

void EngineCore::choose_token(Stream& stream, std::span<const float> logits) {
  const Request& request = stream.request();
  if (request.new_tokens_max == 0) return end(stream, FinishReason::kLength);
  if (stream.new_tokens() == request.new_tokens_min && request.new_tokens_min > 0) {
    stream.sampling.suppressed_tokens = request.sampling.suppressed_tokens;
  }
  const Sample sample = draw_token(stream, logits);
  if (stream.first_token_at == TimePoint()) stream.first_token_at = clock_();
  if (contains(request.end_tokens, sample.token)) {
    stream.result.end_token = sample.token;
    return end(stream, FinishReason::kStop);
  }
  ++counters_.new_tokens;
  stream.tokens.push_back(sample.token);
  stream.result.tokens.push_back(sample.token);
  stream.history.add_output(sample.token);
  if (!request.listener->on_token(stream.sample, sample)) return end(stream, FinishReason::kStop);
  if (stream.new_tokens() == request.new_tokens_max || stream.length() >= options_.context_max) {
    end(stream, FinishReason::kLength);
  }
}

// Of the beginnings that end within [first + 1, end], those from which a later request may go on.
void EngineCore::keep_snapshots(Stream& stream, int64_t first, int64_t end) {
  const Request& request = stream.request();
  if (!options_.has_prefix_cache || !request.uses_prefix_cache) return;
  if (first >= stream.prompt_length - 1) return;  // as in every step of an answer
  // The same prompt again needs its last token run, for the logits.
  const int64_t last = std::min(end, stream.prompt_length - 1);
  std::vector<int64_t> lengths = request.snapshot_positions;
  lengths.push_back(stream.prompt_length - 1);
  for (int64_t length = options_.snapshot_interval; length <= last; length += options_.snapshot_interval) {
    lengths.push_back(length);
  }
  std::ranges::sort(lengths);
  for (const int64_t length : lengths) {
    if (length <= first || length > last) continue;
    cache_.insert(request.cache_salt, std::span(stream.tokens).first(static_cast<size_t>(length)),
                  stream.pages.snapshot(length));
  }
}

void EngineCore::prompt_is_computed(Stream& stream) {
  SharedPrompt& shared = *stream.shared;
  if (stream.sample != 0 || shared.is_ready) return;
  shared.is_ready = true;
  if (shared.request.samples > 1 && stream.prompt_length > 1) {
    shared.snapshot = stream.pages.snapshot(stream.prompt_length - 1);
  }
}

void EngineCore::end(Stream& stream, FinishReason reason) {
  const Request& request = stream.request();
  const bool is_sound = reason != FinishReason::kFailed && stream.computed > 0;
  if (is_sound && options_.has_prefix_cache && request.uses_prefix_cache) {
    cache_.insert(request.cache_salt, std::span(stream.tokens).first(static_cast<size_t>(stream.computed)),
                  stream.pages.snapshot(stream.computed));
  }
  const TimePoint now = clock_();
  const bool has_token = stream.first_token_at != TimePoint();
  if (stream.started_at != TimePoint()) {
    stream.result.prompt_seconds =
        seconds_between(stream.started_at, has_token ? stream.first_token_at : now);
  }
  if (has_token) stream.result.decode_seconds = seconds_between(stream.first_token_at, now);
  stream.result.finish_reason = reason;
  stream.has_ended = true;
  // Whoever waited for its prompt computes it alone.
  if (stream.sample == 0) stream.shared->is_ready = true;
  scheduler_.remove(stream);
  ++counters_.finished[static_cast<size_t>(reason)];
  request.listener->on_finish(stream.result);
}

void EngineCore::fail(Stream& stream, std::exception_ptr error) {
  stream.result.error = std::move(error);
  end(stream, FinishReason::kFailed);
}

void EngineCore::remove_ended() {
  std::erase_if(streams_, [](const auto& stream) { return stream->has_ended; });
}

EngineStats EngineCore::stats() const {
  EngineStats stats = counters_;
  stats.waiting = static_cast<int64_t>(scheduler_.waiting().size());
  stats.running = static_cast<int64_t>(scheduler_.running().size());
  stats.sliding_pages = pools_.sliding.total();
  stats.sliding_pages_used = pools_.sliding.used();
  stats.full_pages = pools_.full.total();
  stats.full_pages_used = pools_.full.used();
  stats.prefix_snapshots = cache_.size();
  stats.prefix_sliding_pages = cache_.sliding_pages();
  stats.prefix_full_pages = cache_.full_pages();
  stats.tokens_per_page = options_.tokens_per_page;
  stats.has_prefix_cache = options_.has_prefix_cache;
  stats.preemptions = scheduler_.counters().preemptions;
  stats.prefix_queries = scheduler_.counters().prefix_queries;
  stats.prefix_hits = scheduler_.counters().prefix_hits;
  stats.prefix_evictions = cache_.evictions();
  const auto add_status = [&](const Stream& stream, bool is_running) {
    stats.requests.push_back({.id = stream.shared->id,
                              .sample = stream.sample,
                              .is_running = is_running,
                              .prompt_tokens = stream.prompt_length,
                              .computed_tokens = stream.computed,
                              .new_tokens = stream.new_tokens()});
  };
  for (const Stream* stream : scheduler_.running()) add_status(*stream, true);
  for (const Stream* stream : scheduler_.waiting()) {
    add_status(*stream, false);
    stats.waiting_tokens += stream->length();
  }
  return stats;
}

}  // namespace beryl::engine
