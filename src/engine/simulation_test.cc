// Random load on the engine with a model that notices every wrong, stale or shared page, from a printed seed.
// BERYL_SIMULATION_SEED replays one; BERYL_SIMULATION_STEPS sets how many steps are run.

#include <gtest/gtest.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/sanitizer_for_tests.h"
#include "engine/engine_core.h"
#include "engine/fake_runner_for_tests.h"

namespace beryl::engine {
namespace {

constexpr int64_t kStepsDefault = kHasSanitizer ? 60'000 : 1'000'000;
constexpr int64_t kStepsOfAnEpisode = 2'000;
constexpr int32_t kPoison = 15;

int64_t from_environment(const char* name, int64_t otherwise) {
  const char* value = std::getenv(name);
  if (value == nullptr) return otherwise;
  int64_t number = otherwise;
  std::from_chars(value, value + std::strlen(value), number);
  return number;
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int64_t in(int64_t min, int64_t max) {
    return min + static_cast<int64_t>(engine_() % static_cast<uint64_t>(max - min + 1));
  }
  bool chance(int64_t one_in) { return in(1, one_in) == 1; }

 private:
  std::mt19937_64 engine_;
};

// Holds what one request heard against what it should have.
class Witness final : public RequestListener {
 public:
  Witness(const FakeShape& shape, Request request, int64_t patience)
      : shape_(shape), request_(std::move(request)), patience_(patience) {}

  bool on_token(int32_t sample, const Sample& token) override {
    std::vector<int32_t>& heard = heard_[sample];
    std::vector<int32_t> history = request_.prompt;
    history.insert(history.end(), heard.begin(), heard.end());
    EXPECT_EQ(token.token, FakeRunner::next(history, shape_)) << "after " << history.size() << " tokens";
    heard.push_back(token.token);
    return static_cast<int64_t>(heard.size()) != patience_;
  }
  void on_prompt_token(int64_t position, const Sample& token) override {
    EXPECT_EQ(position, ++prompt_rows_);
    EXPECT_EQ(token.token, request_.prompt[static_cast<size_t>(position)]);
  }
  void on_finish(const SampleResult& result) override {
    ++finished;
    EXPECT_EQ(result.tokens, heard_[result.sample]);
    const auto tokens = static_cast<int64_t>(result.tokens.size());
    const bool has_poison = std::ranges::find(request_.prompt, kPoison) != request_.prompt.end() ||
                            std::ranges::find(result.tokens, kPoison) != result.tokens.end();
    if (result.finish_reason == FinishReason::kFailed) EXPECT_TRUE(has_poison);
    if (result.finish_reason == FinishReason::kLength) EXPECT_LE(tokens, request_.new_tokens_max);
    if (result.finish_reason == FinishReason::kStop) {
      EXPECT_TRUE(result.end_token.has_value() || tokens == patience_);
    }
    if (request_.prompt_logprobs && result.sample == 0 && result.finish_reason == FinishReason::kLength) {
      EXPECT_EQ(prompt_rows_ + 1, static_cast<int64_t>(request_.prompt.size()));
    }
  }

  int finished = 0;

 private:
  FakeShape shape_;
  Request request_;
  int64_t patience_;  // ends an answer with its token of this number
  int64_t prompt_rows_ = 0;
  std::map<int32_t, std::vector<int32_t>> heard_;
};

// A machine of random size under random load.
class Episode {
 public:
  explicit Episode(uint64_t seed) : random_(seed) {
    shape_.tokens_per_page = random_.in(1, 5);
    shape_.window = random_.in(1, 12);
    context_ = random_.in(8, 40);
    const int64_t least = context_ / shape_.tokens_per_page + 3;
    shape_.full_pages = least + random_.in(0, least * 3);
    shape_.sliding_pages = least + random_.in(0, least * 3);
    runner_ = std::make_unique<FakeRunner>(shape_);
    runner_->poison = random_.chance(3) ? kPoison : -1;
    const EngineOptions options = {.context_max = context_,
                                   .sequences_max = random_.in(1, 6),
                                   .tokens_per_page = shape_.tokens_per_page,
                                   .sliding_pages = shape_.sliding_pages,
                                   .full_pages = shape_.full_pages,
                                   .prefix_sliding_pages = random_.in(0, shape_.sliding_pages),
                                   .has_prefix_cache = !random_.chance(6),
                                   .snapshot_interval = random_.in(3, 12),
                                   .chunk_tokens = random_.in(1, 20),
                                   .prompt_rows_max = random_.in(1, 8)};
    options_ = options;
    core_ = std::make_unique<EngineCore>(*runner_, options, [this] { return now_; });
  }

  void run(int64_t steps) {
    for (int64_t step = 0; step < steps && !testing::Test::HasFailure();) {
      if (requests_.size() < 20 && random_.chance(3)) submit();
      if (!requests_.empty() && random_.chance(12)) core_->cancel(any_request());
      now_ += std::chrono::milliseconds(random_.in(0, 20));
      // A cancel that comes within the step.
      const RequestId dropped = !requests_.empty() && random_.chance(15) ? any_request() : 0;
      if (core_->has_work()) {
        core_->step([&](RequestId id) { return id == dropped; });
        ++step;
      }
      if (dropped != 0) core_->cancel(dropped);
      check_pages();
      forget_finished();
    }
    end();
  }

  EngineStats stats() const { return core_->stats(); }

 private:
  struct Submitted {
    std::shared_ptr<Witness> witness;
    int32_t samples;
  };

  void submit() {
    Request request;
    // Beginnings that many share: one of three first tokens decides most of what follows.
    std::mt19937_64 family(static_cast<uint64_t>(random_.in(1, 3)));
    const int64_t length = random_.in(1, context_ - 1);
    for (int64_t i = 0; i < length; ++i) request.prompt.push_back(static_cast<int32_t>(family() % 15));
    if (random_.chance(2)) request.prompt.back() = static_cast<int32_t>(random_.in(0, 14));
    request.sampling.temperature = 0;
    request.new_tokens_max = random_.in(0, 24);
    request.samples = static_cast<int32_t>(random_.in(1, 3));
    request.priority = static_cast<int32_t>(random_.in(0, 2));
    request.uses_prefix_cache = !random_.chance(8);
    request.cache_salt = random_.chance(4) ? "other" : "";
    if (random_.chance(2)) request.end_tokens = {7};
    if (random_.chance(6)) request.prompt_logprobs = 2;
    if (random_.chance(8)) request.deadline = now_ + std::chrono::milliseconds(random_.in(1, 400));
    if (random_.chance(3)) request.snapshot_positions = {random_.in(1, length), random_.in(1, length)};
    const int64_t patience = random_.chance(5) ? random_.in(1, 10) : -1;
    try {
      validate(request, options_, shape_.window, shape_.vocabulary_size);
    } catch (const std::exception&) {
      return;  // larger than the pages
    }
    auto witness = std::make_shared<Witness>(shape_, request, patience);
    request.listener = witness;
    const RequestId id = ++last_id_;
    requests_[id] = {witness, request.samples};
    core_->add({.id = id, .request = std::move(request), .submitted_at = now_});
  }

  RequestId any_request() {
    auto request = requests_.begin();
    std::advance(request, random_.in(0, static_cast<int64_t>(requests_.size()) - 1));
    return request->first;
  }

  // Every page is held exactly as often as tables, prefix cache and waiting samples say.
  void check_pages() {
    std::vector<int32_t> sliding(static_cast<size_t>(shape_.sliding_pages));
    std::vector<int32_t> full(static_cast<size_t>(shape_.full_pages));
    const auto add = [](std::vector<int32_t>& counts, std::span<const int32_t> pages) {
      for (const int32_t page : pages) {
        if (page >= 0) ++counts[static_cast<size_t>(page)];
      }
    };
    const auto add_snapshot = [&](const Snapshot& snapshot) {
      add(sliding, snapshot.sliding());
      add(full, snapshot.full());
    };
    std::set<const SharedPrompt*> shared;
    const Scheduler& scheduler = core_->scheduler();
    for (const auto* streams : {&scheduler.running(), &scheduler.waiting()}) {
      for (const Stream* stream : *streams) {
        add(sliding, stream->pages.tables().sliding);
        add(full, stream->pages.tables().full);
        if (shared.insert(stream->shared.get()).second && stream->shared->snapshot) {
          add_snapshot(*stream->shared->snapshot);
        }
      }
    }
    for (const Stream* stream : scheduler.waiting()) EXPECT_TRUE(stream->pages.tables().full.empty());
    core_->prefix_cache().for_each(add_snapshot);
    EXPECT_LE(core_->prefix_cache().sliding_pages(), options_.prefix_sliding_pages);
    EXPECT_LE(static_cast<int64_t>(scheduler.running().size()), options_.sequences_max);
    const PagePools& pools = core_->pools();
    for (size_t page = 0; page < sliding.size(); ++page) {
      ASSERT_EQ(pools.sliding.references(static_cast<int32_t>(page)), sliding[page])
          << "sliding page " << page;
    }
    for (size_t page = 0; page < full.size(); ++page) {
      ASSERT_EQ(pools.full.references(static_cast<int32_t>(page)), full[page]) << "full page " << page;
    }
  }

  void forget_finished() {
    std::erase_if(requests_, [](const auto& entry) {
      const Submitted& request = entry.second;
      EXPECT_LE(request.witness->finished, request.samples);
      return request.witness->finished == request.samples;
    });
  }

  // Runs what is left, gives everything back.
  void end() {
    for (int64_t step = 0; core_->has_work() && !testing::Test::HasFailure(); ++step) {
      ASSERT_LT(step, 20'000) << "no end in sight";
      core_->step([](RequestId) { return false; });
      forget_finished();
    }
    EXPECT_TRUE(requests_.empty());
    core_->forget_prefixes();
    EXPECT_EQ(core_->pools().sliding.used(), 0);
    EXPECT_EQ(core_->pools().full.used(), 0);
  }

  Random random_;
  FakeShape shape_;
  int64_t context_ = 0;
  EngineOptions options_;
  TimePoint now_ = TimePoint() + std::chrono::hours(1);
  std::unique_ptr<FakeRunner> runner_;
  std::unique_ptr<EngineCore> core_;
  RequestId last_id_ = 0;
  std::map<RequestId, Submitted> requests_;
};

TEST(SimulationTest, NoPageIsWrongStaleOrLost) {
  const auto first_seed = static_cast<uint64_t>(
      from_environment("BERYL_SIMULATION_SEED", static_cast<int64_t>(std::random_device()())));
  const int64_t steps = from_environment("BERYL_SIMULATION_STEPS", kStepsDefault);
  std::cout << "BERYL_SIMULATION_SEED=" << first_seed << " and following, " << steps << " steps\n";
  EngineStats sum;
  for (int64_t done = 0; done < steps; done += kStepsOfAnEpisode) {
    const uint64_t seed = first_seed + static_cast<uint64_t>(done / kStepsOfAnEpisode);
    SCOPED_TRACE("BERYL_SIMULATION_SEED=" + std::to_string(seed));
    Episode episode(seed);
    episode.run(kStepsOfAnEpisode);
    if (HasFailure()) return;
    const EngineStats stats = episode.stats();
    sum.preemptions += stats.preemptions;
    sum.prefix_hits += stats.prefix_hits;
    sum.prefix_evictions += stats.prefix_evictions;
    sum.numeric_errors += stats.numeric_errors;
    sum.abandoned_steps += stats.abandoned_steps;
    for (size_t reason = 0; reason < std::size(sum.finished); ++reason) {
      sum.finished[reason] += stats.finished[reason];
    }
  }
  // The load was such that all of this happened.
  EXPECT_GT(sum.preemptions, 0U);
  EXPECT_GT(sum.prefix_hits, 0U);
  EXPECT_GT(sum.prefix_evictions, 0U);
  EXPECT_GT(sum.numeric_errors, 0U);
  EXPECT_GT(sum.abandoned_steps, 0U);
  for (const uint64_t finished : sum.finished) EXPECT_GT(finished, 0U);
}

}  // namespace
}  // namespace beryl::engine
