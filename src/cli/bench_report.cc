#include "cli/bench_report.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "backend/cpu/cpu_backend.h"
#include "base/machine.h"
#include "cli/text_format.h"

namespace beryl::cli {
namespace {

std::string_view compute_name(backend::Compute compute) {
  return compute == backend::Compute::kF32 ? "f32" : "bf16";
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
}

}  // namespace beryl::cli
