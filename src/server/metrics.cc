#include "server/metrics.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "server/metrics_of_engine.h"

namespace beryl::server {
namespace {

using prometheus::Histogram;
using prometheus::MetricFamily;
using Buckets = Histogram::BucketBoundaries;

const Buckets kFirstTokenBuckets = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,  .75,
                                    1,    2.5,  5,   7.5, 10,  20,  40,  80, 160, 640, 2560};
const Buckets kTokenBuckets = {.01, .025, .05, .075, .1,  .15, .2, .3, .4, .5,
                               .75, 1,    2.5, 5,    7.5, 10,  20, 40, 80};
const Buckets kLatencyBuckets = {.3, .5, .8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};
// 1, 2, 5, 10, ... as vLLM's, up to the longest texts.
const Buckets kCountBuckets = {1,     2,     5,     10,     20,     50,     100,     200,    500,
                               1'000, 2'000, 5'000, 10'000, 20'000, 50'000, 100'000, 200'000};
const Buckets kSampleBuckets = {1, 2, 5, 10, 20};

constexpr std::string_view kPrefix = "beryl_";

}  // namespace

struct Metrics::Histograms {
  Histograms(prometheus::Registry& registry, const prometheus::Labels& labels)
      : registry_(registry), labels_(labels) {}

  Histogram& make(const std::string& name, const std::string& text, const Buckets& buckets) {
    return prometheus::BuildHistogram()
        .Name(std::string(kPrefix) + name)
        .Help(text)
        .Labels(labels_)
        .Register(registry_)
        .Add({}, buckets);
  }

 private:
  prometheus::Registry& registry_;
  const prometheus::Labels labels_;

 public:
  Histogram& first_token =
      make("time_to_first_token_seconds", "From a request's arrival to its first token", kFirstTokenBuckets);
  Histogram& next_token =
      make("inter_token_latency_seconds", "From one token of an answer to the next", kTokenBuckets);
  Histogram& per_token = make("request_time_per_output_token_seconds",
                              "Of an answer, on average after its first token", kTokenBuckets);
  Histogram& latency = make("e2e_request_latency_seconds",
                            "From a request's arrival to the end of its answer", kLatencyBuckets);
  Histogram& queued = make("request_queue_time_seconds", "Waiting for a place", kLatencyBuckets);
  Histogram& inference =
      make("request_inference_time_seconds", "From the first step to the end", kLatencyBuckets);
  Histogram& prefill =
      make("request_prefill_time_seconds", "From the first step to the first token", kLatencyBuckets);
  Histogram& decode = make("request_decode_time_seconds", "From the first token to the end", kLatencyBuckets);
  Histogram& prompt = make("request_prompt_tokens", "Tokens of a prompt", kCountBuckets);
  Histogram& generated = make("request_generation_tokens", "Tokens of an answer", kCountBuckets);
  Histogram& computed = make("request_prefill_kv_computed_tokens",
                             "Tokens of a prompt that the prefix cache did not have", kCountBuckets);
  Histogram& samples = make("request_params_n", "Answers that a request asked for", kSampleBuckets);
  Histogram& tokens_max =
      make("request_params_max_tokens", "Tokens of an answer that a request allowed", kCountBuckets);
  Histogram& longest = make("request_max_num_generation_tokens",
                            "Tokens of the longest of a request's answers", kCountBuckets);
};

Metrics::Metrics(MetricsOptions options)
    : options_(std::move(options)),
      histograms_(
          std::make_unique<Histograms>(registry_, prometheus::Labels{{"model_name", options_.model_name}})),
      http_requests_(
          prometheus::BuildCounter()
              .Name("beryl_http_requests_total")
              .Help("Requests by the status of their answers; 0: the client went away before there was one")
              .Register(registry_)) {}

Metrics::~Metrics() = default;

void Metrics::on_first_token(double seconds) {
  histograms_->first_token.Observe(seconds);
}

void Metrics::on_next_token(double seconds) {
  histograms_->next_token.Observe(seconds);
}

void Metrics::on_answer(const engine::SampleResult& result, double seconds) {
  const auto tokens = static_cast<double>(result.tokens.size());
  histograms_->latency.Observe(seconds);
  histograms_->queued.Observe(result.queued_seconds);
  histograms_->inference.Observe(result.prompt_seconds + result.decode_seconds);
  histograms_->prefill.Observe(result.prompt_seconds);
  histograms_->decode.Observe(result.decode_seconds);
  if (tokens > 1) histograms_->per_token.Observe(result.decode_seconds / (tokens - 1));
  histograms_->prompt.Observe(static_cast<double>(result.prompt_tokens + result.cached_tokens));
  histograms_->generated.Observe(tokens);
  histograms_->computed.Observe(static_cast<double>(result.prompt_tokens));
}

void Metrics::on_request(const RequestFigures& request) {
  histograms_->samples.Observe(request.samples);
  histograms_->tokens_max.Observe(static_cast<double>(request.new_tokens_max));
  histograms_->longest.Observe(static_cast<double>(request.longest_answer));
}

void Metrics::on_http_request(const HttpRecord& record) {
  http_requests_.Add({{"status", std::to_string(record.status)}}).Increment();
}

std::string Metrics::text() const {
  std::vector<MetricFamily> families = registry_.Collect();
  const auto add = [&](std::vector<MetricFamily> more) {
    families.insert(families.end(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
  };
  if (options_.engine_stats) add(collect_engine_metrics(options_.engine_stats(), options_.model_name));
  if (options_.http_figures) add(collect_http_metrics(options_.http_figures()));
  if (options_.has_vllm_names) {
    std::vector<MetricFamily> aliases;
    std::copy_if(families.begin(), families.end(), std::back_inserter(aliases),
                 [](const MetricFamily& family) { return !family.name.starts_with("beryl_http_"); });
    for (MetricFamily& family : aliases) family.name.replace(0, kPrefix.size(), "vllm:");
    add(std::move(aliases));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace beryl::server
