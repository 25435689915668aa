// What the server counts, in the text format of Prometheus. Names and buckets are vLLM's, with "beryl_" in
// place of "vllm:", so that its dashboards need no more than another prefix. docs/serving.md lists them.
#pragma once

#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine_options.h"
#include "engine/request.h"
#include "server/http_server.h"
#include "server/http_shared.h"

namespace prometheus {
class Counter;
class Histogram;
}  // namespace prometheus

namespace beryl::server {

struct MetricsOptions {
  std::string model_name;
  // Also gives each metric the name that vLLM gives it.
  bool has_vllm_names = false;
  // Asked when the metrics are read; empty: their metrics are left out.
  std::function<engine::EngineStats()> engine_stats = {};
  std::function<HttpFigures()> http_figures = {};
};

// A request, whose answers have ended.
struct RequestFigures {
  int32_t samples = 0;  // `n`
  int64_t new_tokens_max = 0;
  int64_t longest_answer = 0;  // in tokens
};

// Any thread, and quick.
class Metrics {
 public:
  explicit Metrics(MetricsOptions options);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Of a request, since it arrived.
  void on_first_token(double seconds);
  // Of an answer, since the token before.
  void on_next_token(double seconds);
  // An answer ended so long after its request arrived.
  void on_answer(const engine::SampleResult& result, double seconds);
  void on_request(const RequestFigures& request);
  void on_http_request(const HttpRecord& record);

  std::string text() const;

 private:
  struct Histograms;

  const MetricsOptions options_;
  prometheus::Registry registry_;
  std::unique_ptr<Histograms> histograms_;
  prometheus::Family<prometheus::Counter>& http_requests_;
};

}  // namespace beryl::server
