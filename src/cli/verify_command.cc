#include "cli/verify_command.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "base/machine.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/model_path.h"
#include "cli/progress_bar.h"
#include "cli/text_format.h"
#include "eval/verify.h"

namespace beryl::cli {
namespace {

using eval::Severity;
using nlohmann::ordered_json;

// A table of more is not read.
constexpr size_t kFindingsShown = 24;

checkpoint::ModelPath resolve(const std::string& model) {
  return checkpoint::resolve_model_path(model, checkpoint::read_cache_environment());
}

eval::VerifyReport verify(const VerifyCommandOptions& options) {
  const checkpoint::ModelPath path = resolve(options.model);
  std::optional<checkpoint::Checkpoint> original;
  if (!options.against.empty()) {
    original = with_context("--against",
                            [&] { return checkpoint::Checkpoint::open(resolve(options.against).path); });
  }
  std::optional<checkpoint::Checkpoint> opened;
  try {
    opened = checkpoint::Checkpoint::open(path.path);
  } catch (const Error& error) {
    return eval::report_refusal(path.path, error);
  }
  ProgressBar progress("verifying");
  const eval::VerifyOptions verify_options = {
      .threads = options.threads > 0 ? options.threads : usable_processor_count(),
      .original = original ? &*original : nullptr};
  return eval::verify_checkpoint(*opened, verify_options, progress);
}

// ---- For programs ----

ordered_json to_json(const eval::VerifyReport& report) {
  ordered_json json = {{"passed", report.passed()},
                       {"errors", report.count(Severity::kError)},
                       {"warnings", report.count(Severity::kWarning)},
                       {"notes", report.count(Severity::kNote)},
                       {"bytes_read", report.bytes_read},
                       {"classes", ordered_json::array()},
                       {"findings", ordered_json::array()}};
  for (const eval::VerifiedClass& entry : report.classes) {
    json["classes"].push_back({{"name", entry.name},
                               {"weights", entry.weights},
                               {"bytes", entry.bytes},
                               {"rms_min", entry.rms_min},
                               {"rms_median", entry.rms_median},
                               {"rms_max", entry.rms_max},
                               {"errors", entry.errors},
                               {"warnings", entry.warnings}});
  }
  for (const eval::Finding& finding : report.findings) {
    json["findings"].push_back({{"severity", severity_name(finding.severity)},
                                {"kind", finding.kind},
                                {"module", finding.module},
                                {"found", finding.found},
                                {"expected", finding.expected},
                                {"meaning", finding.meaning}});
  }
  return json;
}

ordered_json comparison_json(const eval::VerifyReport& report, const std::string& original) {
  ordered_json json = {
      {"original", original}, {"weights", report.compared}, {"worst", ordered_json::array()}};
  for (const eval::ComparedWeight& weight : report.worst) {
    json["worst"].push_back(
        {{"module", weight.module}, {"cosine", weight.cosine}, {"relative_error", weight.relative_error}});
  }
  return json;
}

// ---- For people ----

void print_classes(std::ostream& out, const eval::VerifyReport& report) {
  if (report.classes.empty()) return;
  fmt::print(out, "{:<17} {:>7} {:>10} {:>10} {:>10} {:>10} {:>7} {:>8}\n", "class", "weights", "size",
             "RMS min", "median", "max", "errors", "warnings");
  for (const eval::VerifiedClass& entry : report.classes) {
    fmt::print(out, "{:<17} {:>7} {:>10} {:>10.3g} {:>10.3g} {:>10.3g} {:>7} {:>8}\n", entry.name,
               entry.weights, format_bytes(entry.bytes), entry.rms_min, entry.rms_median, entry.rms_max,
               entry.errors, entry.warnings);
  }
}

void print_findings(std::ostream& out, const eval::VerifyReport& report) {
  const size_t shown = std::min(report.findings.size(), kFindingsShown);
  for (size_t i = 0; i < shown; ++i) {
    const eval::Finding& finding = report.findings[i];
    fmt::print(out, "\n{}: {}: {}\n", severity_name(finding.severity), finding.module, finding.found);
    if (!finding.expected.empty()) fmt::print(out, "  expected: {}\n", finding.expected);
    if (!finding.meaning.empty()) fmt::print(out, "  meaning:  {}\n", finding.meaning);
  }
  if (shown < report.findings.size()) {
    fmt::print(out, "\nand {} more; --json lists them all\n", report.findings.size() - shown);
  }
}

void print_worst(std::ostream& out, const eval::VerifyReport& report, const std::string& original) {
  fmt::print(out, "\n{} weights compared with {}", report.compared, original);
  out << (report.worst.empty() ? ": all equal\n" : "; the worst:\n");
  for (const eval::ComparedWeight& weight : report.worst) {
    fmt::print(out, "  cosine {:.5f}  relative error {:.3g}  {}\n", weight.cosine, weight.relative_error,
               weight.module);
  }
}

std::string counted(int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

void print_for_people(std::ostream& out, const eval::VerifyReport& report, const std::string& against) {
  print_classes(out, report);
  print_findings(out, report);
  if (!against.empty() && report.compared > 0) print_worst(out, report, against);
  fmt::print(out, "{}{}: {}, {}, {}; {} read\n", report.findings.empty() && against.empty() ? "" : "\n",
             report.passed() ? "PASS" : "FAIL", counted(report.count(Severity::kError), "error"),
             counted(report.count(Severity::kWarning), "warning"),
             counted(report.count(Severity::kNote), "note"), format_bytes(report.bytes_read));
}

}  // namespace

void add_verify_options(CLI::App& command, VerifyCommandOptions& options) {
  command
      .add_option("MODEL", options.model,
                  "Directory of a checkpoint, GGUF file, or ORG/NAME[@REVISION] in the local "
                  "Hugging Face cache")
      ->required();
  command.add_option("--against", options.against,
                     "Compare with this checkpoint of the same network, such as the unquantised original");
  command
      .add_option("--threads", options.threads,
                  "Threads to read with (default: all that the process may use)")
      ->check(CLI::Range(1, 1024))
      ->envname("BERYL_THREADS");
  command.add_flag("--json", options.json, "Print one JSON object");
}

int run_verify(const VerifyCommandOptions& options, std::ostream& out) {
  const eval::VerifyReport report = verify(options);
  if (options.json) {
    ordered_json json = to_json(report);
    if (!options.against.empty()) json["against"] = comparison_json(report, options.against);
    // Findings may quote the bytes of a damaged file.
    out << json.dump(2, ' ', false, ordered_json::error_handler_t::replace) << '\n';
  } else {
    print_for_people(out, report, options.against);
  }
  return report.passed() ? 0 : 1;
}

}  // namespace beryl::cli
