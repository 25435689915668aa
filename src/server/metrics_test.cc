#include "server/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace beryl::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

engine::EngineStats sample_stats() {
  engine::EngineStats stats;
  stats.running = 3;
  stats.waiting = 2;
  stats.full_pages = 10;
  stats.full_pages_used = 5;
  stats.sliding_pages = 4;
  stats.sliding_pages_used = 3;
  stats.prompt_tokens_computed = 70;
  stats.prompt_tokens_cached = 30;
  stats.new_tokens = 12;
  stats.preemptions = 1;
  stats.tokens_per_page = 16;
  stats.has_prefix_cache = true;
  for (const int64_t tokens : {1, 9, 16, 20'000}) stats.step_tokens.add(tokens);
  stats.finished[0] = 5;  // stop
  stats.finished[1] = 6;  // length
  stats.finished[2] = 7;  // cancelled
  stats.finished[3] = 8;  // deadline
  stats.finished[4] = 9;  // failed
  return stats;
}

TEST(Metrics, TellWhatTheEngineDoes) {
  const Metrics metrics({.model_name = "gemma", .engine_stats = sample_stats});
  const std::string text = metrics.text();
  const std::string label = "{model_name=\"gemma\"} ";
  for (const std::string& line :
       {"beryl_num_requests_running" + label + "3", "beryl_num_requests_waiting" + label + "2",
        "beryl_kv_cache_usage_perc" + label + "0.75", "beryl_prompt_tokens_total" + label + "100",
        "beryl_generation_tokens_total" + label + "12", "beryl_prefix_cache_queries_total" + label + "100",
        "beryl_prefix_cache_hits_total" + label + "30", "beryl_num_preemptions_total" + label + "1"}) {
    EXPECT_THAT(text, HasSubstr("\n" + line + "\n"));
  }
  const auto finished = [](const std::string& reason, const std::string& count) {
    return "beryl_request_success_total{model_name=\"gemma\",finished_reason=\"" + reason + "\"} " + count +
           "\n";
  };
  EXPECT_THAT(text, HasSubstr(finished("stop", "5")));
  EXPECT_THAT(text, HasSubstr(finished("length", "6")));
  EXPECT_THAT(text, HasSubstr(finished("abort", "15")));
  EXPECT_THAT(text, HasSubstr(finished("error", "9")));
  EXPECT_THAT(text, HasSubstr("# TYPE beryl_request_success_total counter\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE beryl_num_requests_running gauge\n"));
}

TEST(Metrics, TellTokensOfSteps) {
  const Metrics metrics({.model_name = "gemma", .engine_stats = sample_stats});
  const std::string text = metrics.text();
  const auto bucket = [](const std::string& bound, int count) {
    return "beryl_iteration_tokens_total_bucket{model_name=\"gemma\",le=\"" + bound + "\"} " +
           std::to_string(count) + "\n";
  };
  EXPECT_THAT(text, HasSubstr("# TYPE beryl_iteration_tokens_total histogram\n"));
  EXPECT_THAT(text, HasSubstr(bucket("1", 1)));
  EXPECT_THAT(text, HasSubstr(bucket("8", 1)));
  EXPECT_THAT(text, HasSubstr(bucket("16", 3)));
  EXPECT_THAT(text, HasSubstr(bucket("16384", 3)));
  EXPECT_THAT(text, HasSubstr(bucket("+Inf", 4)));
  EXPECT_THAT(text, HasSubstr("beryl_iteration_tokens_total_count{model_name=\"gemma\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("beryl_iteration_tokens_total_sum{model_name=\"gemma\"} 20026\n"));
}

TEST(Metrics, TellTheSizesOfTheCacheOnceItIsThere) {
  const Metrics metrics({.model_name = "gemma", .engine_stats = sample_stats});
  EXPECT_THAT(
      metrics.text(),
      HasSubstr("\nberyl_cache_config_info{model_name=\"gemma\",block_size=\"16\",num_gpu_blocks=\"10\","
                "num_sliding_blocks=\"4\",enable_prefix_caching=\"True\"} 1\n"));
  const Metrics loading({.model_name = "gemma", .engine_stats = [] { return engine::EngineStats(); }});
  EXPECT_THAT(loading.text(), Not(HasSubstr("cache_config_info")));
}

TEST(Metrics, CountAnswersIntoBuckets) {
  Metrics metrics({.model_name = "gemma"});
  metrics.on_first_token(0.3);
  metrics.on_next_token(0.06);
  metrics.on_next_token(100);
  metrics.on_answer({.tokens = {1, 2, 3, 4, 5},
                     .prompt_tokens = 40,
                     .cached_tokens = 60,
                     .queued_seconds = 0.25,
                     .prompt_seconds = 0.5,
                     .decode_seconds = 2},
                    2.75);
  metrics.on_request({.samples = 2, .new_tokens_max = 300, .longest_answer = 5});
  const std::string text = metrics.text();
  const auto bucket = [](const std::string& name, const std::string& bound, int count) {
    return "beryl_" + name + "_bucket{model_name=\"gemma\",le=\"" + bound + "\"} " + std::to_string(count) +
           "\n";
  };
  EXPECT_THAT(text, HasSubstr(bucket("time_to_first_token_seconds", "0.25", 0)));
  EXPECT_THAT(text, HasSubstr(bucket("time_to_first_token_seconds", "0.5", 1)));
  EXPECT_THAT(text, HasSubstr(bucket("inter_token_latency_seconds", "0.075", 1)));
  EXPECT_THAT(text, HasSubstr(bucket("inter_token_latency_seconds", "80", 1)));
  EXPECT_THAT(text, HasSubstr(bucket("inter_token_latency_seconds", "+Inf", 2)));
  EXPECT_THAT(text, HasSubstr(bucket("request_time_per_output_token_seconds", "0.4", 0)));
  EXPECT_THAT(text, HasSubstr(bucket("request_time_per_output_token_seconds", "0.5", 1)));  // 2 s / 4
  EXPECT_THAT(text, HasSubstr(bucket("e2e_request_latency_seconds", "2.5", 0)));
  EXPECT_THAT(text, HasSubstr(bucket("e2e_request_latency_seconds", "5", 1)));
  EXPECT_THAT(text, HasSubstr(bucket("request_params_n", "1", 0)));
  EXPECT_THAT(text, HasSubstr(bucket("request_params_n", "2", 1)));
  EXPECT_THAT(text, HasSubstr(bucket("request_params_max_tokens", "500", 1)));
  EXPECT_THAT(text, HasSubstr(bucket("request_max_num_generation_tokens", "2", 0)));
  EXPECT_THAT(text, HasSubstr(bucket("request_max_num_generation_tokens", "5", 1)));
  EXPECT_THAT(text, HasSubstr("beryl_request_prompt_tokens_sum{model_name=\"gemma\"} 100\n"));
  EXPECT_THAT(text, HasSubstr("beryl_request_generation_tokens_sum{model_name=\"gemma\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("beryl_request_prefill_kv_computed_tokens_sum{model_name=\"gemma\"} 40\n"));
  EXPECT_THAT(text, HasSubstr("beryl_request_inference_time_seconds_sum{model_name=\"gemma\"} 2.5\n"));
}

TEST(Metrics, CountRequestsAndConnections) {
  Metrics metrics({.model_name = "gemma", .http_figures = [] {
                     return HttpFigures{.connections_open = 4,
                                        .connections_idle = 1,
                                        .connections_accepted = 9,
                                        .connections_refused = 2};
                   }});
  metrics.on_http_request({.status = 200});
  metrics.on_http_request({.status = 200});
  metrics.on_http_request({.status = 429});
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("beryl_http_requests_total{status=\"200\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("beryl_http_requests_total{status=\"429\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nberyl_http_connections 4\n"));
  EXPECT_THAT(text, HasSubstr("beryl_http_connections_total 9\n"));
  EXPECT_THAT(text, HasSubstr("beryl_http_connections_refused_total 2\n"));
}

TEST(Metrics, TakeVllmsNamesWhenAsked) {
  const Metrics with({.model_name = "gemma", .has_vllm_names = true, .engine_stats = sample_stats});
  EXPECT_THAT(with.text(), HasSubstr("vllm:num_requests_running{model_name=\"gemma\"} 3\n"));
  EXPECT_THAT(with.text(), HasSubstr("vllm:time_to_first_token_seconds_bucket{"));
  EXPECT_THAT(with.text(), HasSubstr("beryl_num_requests_running{"));
  const Metrics without({.model_name = "gemma", .engine_stats = sample_stats});
  EXPECT_THAT(without.text(), Not(HasSubstr("vllm:")));
}

// A name that holds what the format gives a meaning.
TEST(Metrics, EscapeTheModelsName) {
  const Metrics metrics({.model_name = "a\"b\\c\nd", .engine_stats = sample_stats});
  EXPECT_THAT(metrics.text(), HasSubstr("{model_name=\"a\\\"b\\\\c\\nd\"} 3\n"));
}

}  // namespace
}  // namespace beryl::server
