#include "engine/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/checked_math.h"
#include "base/error.h"
#include "engine/memory_figures.h"

namespace beryl::engine {
namespace {

// Of what is left beside the weights; the rest is for the system and for what is not planned.
constexpr uint64_t kShareOfFreePercent = 85;
// Of the memory for keys and values, when the user does not say.
constexpr uint64_t kPrefixPercent = 30;
// More windows than this are of little use to a machine that serves a few texts at a time.
constexpr int64_t kPrefixWindowsMax = 32;

class Planner {
 public:
  Planner(const checkpoint::ModelConfig& config, const backend::Backend& backend, const MemoryWishes& wishes)
      : config_(config), wishes_(wishes) {
    const CacheFigures figures = cache_figures(config, backend);
    const auto tokens = static_cast<uint64_t>(plan_.options.tokens_per_page);
    sliding_page_bytes_ = figures.sliding_bytes_per_token * tokens;
    full_page_bytes_ = figures.full_bytes_per_token * tokens;
    plan_.options.sequences_max = wishes.sequences;
  }

  MemoryPlan make(uint64_t weight_bytes, uint64_t available_bytes) {
    plan_.weight_bytes = weight_bytes;
    plan_.available_bytes = available_bytes;
    plan_.working_bytes = kWorkingBytes + static_cast<uint64_t>(wishes_.sequences) *
                                              static_cast<uint64_t>(config_.vocabulary_size) * sizeof(float);
    const uint64_t taken = plan_.weight_bytes + plan_.working_bytes;
    const uint64_t left = available_bytes > taken ? available_bytes - taken : 0;
    const uint64_t kv_bytes = wishes_.kv_bytes.value_or(left / 100 * kShareOfFreePercent);
    choose_context(kv_bytes);
    const uint64_t least = bytes(active_sliding_pages(1), least_full_pages());
    if (least > std::min(kv_bytes, left)) refuse(least, std::min(kv_bytes, left));
    choose_pages(kv_bytes);
    return std::move(plan_);
  }

 private:
  uint64_t bytes(int64_t sliding_pages, int64_t full_pages) const {
    return static_cast<uint64_t>(sliding_pages) * sliding_page_bytes_ +
           static_cast<uint64_t>(full_pages) * full_page_bytes_;
  }

  int64_t context_pages() const {
    return ceil_div(plan_.options.context_max, plan_.options.tokens_per_page) + 1;
  }
  // One text of the whole context, and a copy of a page that it shares.
  int64_t least_full_pages() const { return context_pages(); }

  // Windows of texts in progress, and the prompt's part of a step.
  int64_t active_sliding_pages(int64_t sequences) const {
    const int64_t tokens = plan_.options.tokens_per_page;
    const int64_t window = std::min(ceil_div(config_.sliding_window, tokens) + 2, context_pages());
    const int64_t chunk = std::min(ceil_div(plan_.options.chunk_tokens, tokens), context_pages());
    return sequences * window + chunk + 2;
  }

  void choose_context(uint64_t kv_bytes) {
    EngineOptions& options = plan_.options;
    const int64_t model = config_.position_count_max;
    if (wishes_.context) {
      options.context_max = *wishes_.context;
      plan_.context_reason = "as asked for";
      return;
    }
    options.context_max = std::min(wishes_.context_default, model);
    plan_.context_reason = options.context_max == model ? "the model's own" : "the default";
    while (options.context_max > 256 && bytes(active_sliding_pages(1), least_full_pages()) > kv_bytes) {
      options.context_max /= 2;
      plan_.context_reason = "what memory allows";
    }
  }

  void choose_pages(uint64_t kv_bytes) {
    EngineOptions& options = plan_.options;
    // As many texts at a time as there are windows for; the full pages are shared by all.
    while (options.sequences_max > 1 &&
           bytes(active_sliding_pages(options.sequences_max), least_full_pages()) > kv_bytes) {
      --options.sequences_max;
    }
    const int64_t active = active_sliding_pages(options.sequences_max);
    const uint64_t spare = kv_bytes - bytes(active, least_full_pages());
    const int64_t useful = kPrefixWindowsMax * (active_sliding_pages(2) - active_sliding_pages(1));
    uint64_t prefix = wishes_.prefix_bytes.value_or(
        std::min(kv_bytes / 100 * kPrefixPercent, static_cast<uint64_t>(useful) * sliding_page_bytes_));
    prefix = std::min(prefix, spare);
    options.prefix_sliding_pages =
        sliding_page_bytes_ == 0 ? useful : static_cast<int64_t>(prefix / sliding_page_bytes_);
    options.has_prefix_cache = options.prefix_sliding_pages > 0;
    options.sliding_pages = active + options.prefix_sliding_pages;

    // Every text with its whole context, and as much again that only the prefix cache knows.
    const int64_t most = 2 * options.sequences_max * context_pages();
    const uint64_t rest = kv_bytes - bytes(options.sliding_pages, 0);
    options.full_pages =
        full_page_bytes_ == 0 ? most : std::min(most, static_cast<int64_t>(rest / full_page_bytes_));
    plan_.prefix_bytes = static_cast<uint64_t>(options.prefix_sliding_pages) * sliding_page_bytes_;
    plan_.kv_bytes = bytes(options.sliding_pages, options.full_pages);
  }

  [[noreturn]] void refuse(uint64_t least, uint64_t room) const {
    constexpr double kMegabyte = 1e6;
    throw Error(
        ErrorCode::kResource,
        fmt::format(
            "the model needs {:.0f} MB of memory ({:.0f} for weights, {:.0f} for work, {:.0f} for the keys "
            "and values of a text of {} tokens), {:.0f} MB are available{}",
            static_cast<double>(plan_.weight_bytes + plan_.working_bytes + least) / kMegabyte,
            static_cast<double>(plan_.weight_bytes) / kMegabyte,
            static_cast<double>(plan_.working_bytes) / kMegabyte, static_cast<double>(least) / kMegabyte,
            plan_.options.context_max, static_cast<double>(plan_.available_bytes) / kMegabyte,
            wishes_.kv_bytes ? fmt::format(", {:.0f} MB of them for keys and values",
                                           static_cast<double>(room) / kMegabyte)
                             : ""),
        wishes_.kv_bytes
            ? "raise --kv-memory or lower --ctx"
            : "close other programs, lower --ctx, choose a checkpoint that is quantised to fewer bits, or "
              "leave the weights in their files with --mmap");
  }

  const checkpoint::ModelConfig& config_;
  const MemoryWishes& wishes_;
  uint64_t sliding_page_bytes_ = 0;
  uint64_t full_page_bytes_ = 0;
  MemoryPlan plan_;
};

}  // namespace

MemoryPlan plan_memory(const checkpoint::ModelConfig& config, const backend::Backend& backend,
                       uint64_t weight_bytes, uint64_t available_bytes, const MemoryWishes& wishes) {
  return Planner(config, backend, wishes).make(weight_bytes, available_bytes);
}

}  // namespace beryl::engine
