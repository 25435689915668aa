#include "cli/bench_report.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <utility>

#include "backend/cpu/cpu_backend.h"
#include "base/machine.h"
#include "cli/text_format.h"

namespace beryl::cli {
namespace {

std::string_view compute_name(backend::Compute compute) {
  return compute == backend::Compute::kF32 ? "f32" : "bf16";
}

// A step's time may be exceeded by so much before answers that are being written are held up by prompts.
constexpr double kGapGoal = 1.5;
constexpr double kMilli = 1e3;

nlohmann::json to_json(const eval::Gaps& gaps) {
  return {{"count", gaps.count},
          {"p50_ms", gaps.p50_seconds * kMilli},
          {"p99_ms", gaps.p99_seconds * kMilli},
          {"max_ms", gaps.max_seconds * kMilli}};
}

nlohmann::json to_json(const eval::LongPromptsResult& prompts, double step_seconds) {
  const double goal = kGapGoal * step_seconds;
  return {{"prompts", prompts.prompts},
          {"prompt_tokens", prompts.prompt_tokens},
          {"seconds", prompts.seconds},
          {"prompt_tokens_per_second", prompts.prompt_tokens_per_second()},
          {"stream_tokens", prompts.stream_tokens},
          {"stream_tokens_per_second", prompts.stream_tokens_per_second()},
          {"gaps", to_json(prompts.gaps)},
          {"p99_goal_ms", goal * kMilli},
          {"meets_goal", prompts.gaps.p99_seconds <= goal}};
}

// How many times the speed of one stream; absent when that was not measured.
std::optional<double> times_one(const BenchReport& report, const eval::ManyStreamsResult& row) {
  const auto one = std::ranges::find(report.streams, 1, &eval::ManyStreamsResult::streams);
  if (one == report.streams.end()) return {};
  return row.tokens_per_second() / one->tokens_per_second();
}

nlohmann::json streams_json(const BenchReport& report) {
  nlohmann::json rows = nlohmann::json::array();
  for (const eval::ManyStreamsResult& row : report.streams) {
    nlohmann::json json = {{"streams", row.streams},
                           {"tokens", row.tokens},
                           {"seconds", row.seconds},
                           {"tokens_per_second", row.tokens_per_second()},
                           {"gaps", to_json(row.gaps)}};
    if (const auto times = times_one(report, row)) json["times_one_stream"] = *times;
    if (row.long_prompts) json["long_prompts"] = to_json(*row.long_prompts, report.step_seconds);
    rows.push_back(std::move(json));
  }
  return rows;
}

void print_streams_alone(std::ostream& out, const BenchReport& report) {
  fmt::print(out, "\n{:>8} {:>10} {:>8} {:>11} {:>11}\n", "streams", "tokens/s", "x one", "p50 gap ms",
             "p99 gap ms");
  for (const eval::ManyStreamsResult& row : report.streams) {
    const auto times = times_one(report, row);
    fmt::print(out, "{:>8} {:>10.2f} {:>8} {:>11.1f} {:>11.1f}\n", row.streams, row.tokens_per_second(),
               times ? fmt::format("{:.2f}", *times) : "-", row.gaps.p50_seconds * kMilli,
               row.gaps.p99_seconds * kMilli);
  }
}

void print_long_prompts(std::ostream& out, const BenchReport& report) {
  const auto& first = report.streams.front().long_prompts;
  if (!first) return;
  fmt::print(out, "\nbeside a prompt of {} tokens, steps of {:.0f} ms; goal of the p99 gap: {:.0f} ms\n",
             first->prompt_tokens, report.step_seconds * kMilli, kGapGoal * report.step_seconds * kMilli);
  fmt::print(out, "{:>8} {:>10} {:>6} {:>11} {:>11} {:>5} {:>16}\n", "streams", "tokens/s", "gaps",
             "p50 gap ms", "p99 gap ms", "goal", "prompt tokens/s");
  for (const eval::ManyStreamsResult& row : report.streams) {
    const eval::LongPromptsResult& prompts = *row.long_prompts;
    const bool is_met = prompts.gaps.p99_seconds <= kGapGoal * report.step_seconds;
    fmt::print(out, "{:>8} {:>10.2f} {:>6} {:>11.1f} {:>11.1f} {:>5} {:>16.2f}\n", row.streams,
               prompts.stream_tokens_per_second(), prompts.gaps.count, prompts.gaps.p50_seconds * kMilli,
               prompts.gaps.p99_seconds * kMilli, is_met ? "met" : "no", prompts.prompt_tokens_per_second());
  }
}

}  // namespace

void print_bench_json(std::ostream& out, const BenchReport& report) {
  nlohmann::json json = {{"subject", report.subject},
                         {"processor", processor_name()},
                         {"kernels", backend::cpu_kernel_name()},
                         {"threads", report.threads},
                         {"compute", compute_name(report.compute)},
                         {"published_bytes", report.published_bytes},
                         {"resident_bytes", report.resident_bytes},
                         {"cache_bytes", report.cache_bytes},
                         {"prefill", nlohmann::json::array()},
                         {"decode", nlohmann::json::array()}};
  if (!report.routing.empty()) json["routing"] = report.routing;
  if (!report.streams.empty()) {
    json["step_ms"] = report.step_seconds * kMilli;
    json["streams"] = streams_json(report);
  }
  for (const eval::PrefillResult& row : report.result.prefill) {
    json["prefill"].push_back({{"tokens", row.tokens},
                               {"seconds", row.seconds},
                               {"tokens_per_second", row.tokens_per_second()},
                               {"operations", row.operations},
                               {"operations_per_second", row.operations_per_second()},
                               {"multiply_peak", row.peak},
                               {"share", row.share()}});
  }
  for (const eval::DecodeResult& row : report.result.decode) {
    json["decode"].push_back({{"depth", row.depth},
                              {"batch", row.batch},
                              {"seconds_per_step", row.seconds_per_step},
                              {"tokens_per_second", row.tokens_per_second()},
                              {"bytes_per_token", row.bytes_per_token()},
                              {"bytes_per_second", row.bytes_per_second()},
                              {"read_bandwidth", row.read_bandwidth},
                              {"share", row.share()}});
  }
  out << json.dump(2) << '\n';
}

void print_bench_table(std::ostream& out, const BenchReport& report) {
  fmt::print(out, "{}{}{}\n", report.subject, report.routing.empty() ? "" : ", routing: ", report.routing);
  fmt::print(out, "{}, {} threads, kernels {}, compute {}\n", processor_name(), report.threads,
             backend::cpu_kernel_name(), compute_name(report.compute));
  if (!report.result.prefill.empty()) {
    fmt::print(out, "\n{:<9} {:>8} {:>10} {:>10} {:>12} {:>8}\n", "prefill", "tokens", "tokens/s", "GFLOP/s",
               "peak GFLOP/s", "share");
  }
  for (const eval::PrefillResult& row : report.result.prefill) {
    fmt::print(out, "{:<9} {:>8} {:>10.2f} {:>10.1f} {:>12.1f} {:>6.1f} %\n", "", row.tokens,
               row.tokens_per_second(), row.operations_per_second() / 1e9, row.peak / 1e9, row.share() * 100);
  }
  if (!report.result.decode.empty()) {
    fmt::print(out, "\n{:<9} {:>8} {:>6} {:>10} {:>12} {:>8} {:>10} {:>8}\n", "decode", "depth", "batch",
               "tokens/s", "bytes/token", "GB/s", "limit GB/s", "share");
  }
  for (const eval::DecodeResult& row : report.result.decode) {
    fmt::print(out, "{:<9} {:>8} {:>6} {:>10.2f} {:>12} {:>8.2f} {:>10.2f} {:>6.1f} %\n", "", row.depth,
               row.batch, row.tokens_per_second(), format_bytes(static_cast<uint64_t>(row.bytes_per_token())),
               row.bytes_per_second() / 1e9, row.read_bandwidth / 1e9, row.share() * 100);
  }
  if (report.streams.empty()) return;
  print_streams_alone(out, report);
  print_long_prompts(out, report);
}

}  // namespace beryl::cli
