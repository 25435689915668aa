#include "server/metrics_of_engine.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "engine/request.h"

namespace beryl::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

class Families {
 public:
  explicit Families(Labels labels) : labels_(std::move(labels)) {}

  template <typename Number>
  void gauge(const std::string& name, const std::string& text, Number value) {
    ClientMetric metric = {.label = labels_};
    metric.gauge.value = static_cast<double>(value);
    families_.push_back(
        {.name = "beryl_" + name, .help = text, .type = MetricType::Gauge, .metric = {metric}});
  }
  template <typename Number>
  void counter(const std::string& name, const std::string& text, Number value) {
    families_.push_back({.name = "beryl_" + name, .help = text, .type = MetricType::Counter});
    count({}, value);
  }
  // Another value of the last counter.
  template <typename Number>
  void count(Labels more_labels, Number value) {
    ClientMetric metric = {.label = labels_};
    metric.label.insert(metric.label.end(), more_labels.begin(), more_labels.end());
    metric.counter.value = static_cast<double>(value);
    families_.back().metric.push_back(std::move(metric));
  }
  // Always 1; what it tells stands in its labels.
  void info(const std::string& name, const std::string& text, const Labels& more_labels) {
    gauge(name, text, 1);
    Labels& labels = families_.back().metric.front().label;
    labels.insert(labels.end(), more_labels.begin(), more_labels.end());
  }
  // `counts` has one entry more than `bounds`.
  void histogram(const std::string& name, const std::string& text, std::span<const int64_t> bounds,
                 std::span<const uint64_t> counts, uint64_t sum) {
    ClientMetric metric = {.label = labels_};
    uint64_t count = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      count += counts[i];
      const double bound =
          i < bounds.size() ? static_cast<double>(bounds[i]) : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({.cumulative_count = count, .upper_bound = bound});
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = static_cast<double>(sum);
    families_.push_back(
        {.name = "beryl_" + name, .help = text, .type = MetricType::Histogram, .metric = {metric}});
  }
  void empty_counter(const std::string& name, const std::string& text) {
    families_.push_back({.name = "beryl_" + name, .help = text, .type = MetricType::Counter});
  }

  std::vector<MetricFamily> take() { return std::move(families_); }

 private:
  const Labels labels_;
  std::vector<MetricFamily> families_;
};

double share(int64_t used, int64_t all) {
  return all > 0 ? static_cast<double>(used) / static_cast<double>(all) : 0;
}

// vLLM's names of the reasons for which answers end.
std::string_view reason_label(engine::FinishReason reason) {
  const bool is_the_clients_doing =
      reason == engine::FinishReason::kCancelled || reason == engine::FinishReason::kDeadline;
  return is_the_clients_doing                      ? "abort"
         : reason == engine::FinishReason::kFailed ? "error"
                                                   : engine::finish_reason_name(reason);
}

void add_finished(Families& families, const engine::EngineStats& stats) {
  families.empty_counter("request_success_total", "Answers that ended, by reason");
  constexpr std::array<std::string_view, 4> kReasons = {"stop", "length", "abort", "error"};
  for (const std::string_view reason : kReasons) {
    uint64_t count = 0;
    for (size_t i = 0; i < std::size(stats.finished); ++i) {
      if (reason_label(static_cast<engine::FinishReason>(i)) == reason) count += stats.finished[i];
    }
    families.count({{.name = "finished_reason", .value = std::string(reason)}}, count);
  }
}

}  // namespace

std::vector<MetricFamily> collect_engine_metrics(const engine::EngineStats& stats,
                                                 const std::string& model_name) {
  Families families({{.name = "model_name", .value = model_name}});
  families.gauge("num_requests_running", "Answers in progress", stats.running);
  families.gauge("num_requests_waiting", "Answers that wait for a place", stats.waiting);
  families.gauge("num_tokens_waiting", "Tokens of the prompts that wait", stats.waiting_tokens);
  families.gauge("kv_cache_usage_perc", "Pages in use, of the kind that is scarcer; 1 is all",
                 std::max(share(stats.sliding_pages_used, stats.sliding_pages),
                          share(stats.full_pages_used, stats.full_pages)));
  families.gauge("prefix_cache_pages", "Pages that are kept for prompts to come",
                 stats.prefix_sliding_pages + stats.prefix_full_pages);
  families.counter("prompt_tokens_total", "Tokens of prompts, computed or found in the prefix cache",
                   stats.prompt_tokens_computed + stats.prompt_tokens_cached);
  families.counter("generation_tokens_total", "Tokens of answers", stats.new_tokens);
  families.counter("prefix_cache_queries_total", "Tokens of prompts that were looked up in the prefix cache",
                   stats.prompt_tokens_computed + stats.prompt_tokens_cached);
  families.counter("prefix_cache_hits_total", "Tokens of prompts that the prefix cache had",
                   stats.prompt_tokens_cached);
  families.counter("prefix_cache_evictions_total", "Beginnings of prompts that the prefix cache gave up",
                   stats.prefix_evictions);
  families.counter("num_preemptions_total", "Answers that gave up their place for a while",
                   stats.preemptions);
  families.counter("steps_total", "Passes of the model", stats.steps);
  families.histogram("iteration_tokens_total", "Tokens of prompts and answers in a pass of the model",
                     engine::StepTokens::kBounds, stats.step_tokens.counts, stats.step_tokens.sum);
  families.counter("abandoned_steps_total", "Passes of the model that were given up for a cancel",
                   stats.abandoned_steps);
  families.counter("numeric_errors_total", "Answers that failed for a number that was not finite",
                   stats.numeric_errors);
  if (stats.tokens_per_page > 0) {  // else there is no engine yet
    families.info("cache_config_info", "Pages of keys and values",
                  {{.name = "block_size", .value = std::to_string(stats.tokens_per_page)},
                   {.name = "num_gpu_blocks", .value = std::to_string(stats.full_pages)},
                   {.name = "num_sliding_blocks", .value = std::to_string(stats.sliding_pages)},
                   {.name = "enable_prefix_caching", .value = stats.has_prefix_cache ? "True" : "False"}});
  }
  add_finished(families, stats);
  return families.take();
}

std::vector<MetricFamily> collect_http_metrics(const HttpFigures& figures) {
  Families families({});
  families.gauge("http_connections", "Open connections", figures.connections_open);
  families.gauge("http_connections_idle", "Open connections without a request", figures.connections_idle);
  families.counter("http_connections_total", "Connections that were accepted", figures.connections_accepted);
  families.counter("http_connections_refused_total",
                   "Connections that were refused, since there were too many", figures.connections_refused);
  return families.take();
}

}  // namespace beryl::server
