#include "cli/eval_report.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>

namespace beryl::cli {
namespace {

using eval::Accuracy;
using eval::EvalResult;
using eval::Interval;
using eval::PairedTable;

double tokens_per_second(const EvalResult& result) {
  return result.seconds > 0 ? static_cast<double>(result.new_tokens) / result.seconds : 0;
}

nlohmann::ordered_json to_json(const Accuracy& accuracy, int64_t invalid) {
  const Interval interval = accuracy.wilson();
  return {{"right", accuracy.right},
          {"accuracy", accuracy.value()},
          {"standard_error", accuracy.standard_error()},
          {"wilson_95", {interval.low, interval.high}},
          {"invalid", invalid}};
}

nlohmann::ordered_json to_json(const EvalResult& result) {
  return {{"model", result.model},
          {"questions", result.answers.size()},
          {"complete", result.is_complete},
          {"strict", to_json(result.strict(), result.strict_invalid())},
          {"flexible", to_json(result.flexible(), result.flexible_invalid())},
          {"truncated", result.truncated()},
          {"answered_before", result.answered_before},
          {"seconds", result.seconds},
          {"prompt_tokens", result.prompt_tokens},
          {"cached_tokens", result.cached_tokens},
          {"new_tokens", result.new_tokens},
          {"new_tokens_per_second", tokens_per_second(result)}};
}

nlohmann::ordered_json to_json(const PairedTable& table) {
  const Interval interval = table.difference_interval();
  return {{"both", table.both},
          {"only_first", table.only_first},
          {"only_second", table.only_second},
          {"neither", table.neither},
          {"difference", table.difference()},
          {"difference_95", {interval.low, interval.high}},
          {"mcnemar_p", table.mcnemar_p()}};
}

std::string describe_settings(const EvalReport& report) {
  const eval::EvalSettings& settings = report.settings;
  const std::string sampling =
      settings.temperature == 0 ? std::string("greedy")
                                : fmt::format("temperature {}, seed {}", settings.temperature, settings.seed);
  return fmt::format("{}: {} questions, {} examples, {}{}, {}, {} arithmetic, at most {} tokens", report.task,
                     report.questions, report.shot_count, report.is_chat ? "chat template" : "plain text",
                     report.thinks ? " with thinking" : "", sampling, settings.compute,
                     settings.new_tokens_max);
}

void print_accuracy(std::ostream& out, std::string_view label, const Accuracy& accuracy, int64_t invalid) {
  const Interval interval = accuracy.wilson();
  fmt::print(out, "  {:<9} {:>5} of {:<5} {:.4f} ± {:.4f}   95 %: {:.4f} to {:.4f}   invalid {}\n", label,
             accuracy.right, accuracy.total, accuracy.value(), accuracy.standard_error(), interval.low,
             interval.high, invalid);
}

void print_result(std::ostream& out, const EvalReport& report, const EvalResult& result) {
  fmt::print(out, "\n{}\n", result.model);
  if (!result.is_complete) {
    fmt::print(out, "  INCOMPLETE: {} of {} questions\n", result.answers.size(), report.questions);
  }
  print_accuracy(out, "strict", result.strict(), result.strict_invalid());
  print_accuracy(out, "flexible", result.flexible(), result.flexible_invalid());
  fmt::print(out, "  cut off at the limit of tokens: {}\n", result.truncated());
  if (result.answered_before > 0) {
    fmt::print(out, "  taken from the answers recorded earlier: {}\n", result.answered_before);
  }
  if (result.new_tokens > 0) {
    fmt::print(
        out, "  {:.1f} s for {} new tokens ({:.1f}/s), {} prompt tokens computed, {} taken from the cache\n",
        result.seconds, result.new_tokens, tokens_per_second(result), result.prompt_tokens,
        result.cached_tokens);
  }
}

// The models' folders, or their whole names where folders are alike.
std::vector<std::string> short_names(const std::vector<EvalResult>& results) {
  std::vector<std::string> names;
  for (const EvalResult& result : results) {
    const std::filesystem::path path(result.model);
    names.push_back((path.has_filename() ? path : path.parent_path()).filename().string());
  }
  const bool are_different = std::set<std::string>(names.begin(), names.end()).size() == names.size();
  if (!are_different) {
    std::transform(results.begin(), results.end(), names.begin(),
                   [](const auto& result) { return result.model; });
  }
  return names;
}

void print_pair(std::ostream& out, std::string_view label, const PairedTable& table, const std::string& first,
                const std::string& second) {
  fmt::print(out,
             "  {:<9} both right {}, only {} {}, only {} {}, neither {}; McNemar's exact test p = {:.3g}\n",
             label, table.both, first, table.only_first, second, table.only_second, table.neither,
             table.mcnemar_p());
}

}  // namespace

void print_eval_json(std::ostream& out, const EvalReport& report) {
  nlohmann::ordered_json json = {{"task", report.task},
                                 {"questions", report.questions},
                                 {"num_fewshot", report.shot_count},
                                 {"chat", report.is_chat},
                                 {"think", report.thinks},
                                 {"compute", report.settings.compute},
                                 {"temperature", report.settings.temperature},
                                 {"seed", report.settings.seed},
                                 {"max_tokens", report.settings.new_tokens_max},
                                 {"models", nlohmann::ordered_json::array()}};
  const std::vector<std::string> names = short_names(report.results);
  for (const EvalResult& result : report.results) json["models"].push_back(to_json(result));
  for (size_t i = 1; i < report.results.size(); ++i) {
    const EvalResult& first = report.results.front();
    const EvalResult& second = report.results[i];
    const PairedTable strict = eval::compare_strict(first, second);
    json["pairs"].push_back({{"first", first.model},
                             {"second", second.model},
                             {"strict", to_json(strict)},
                             {"flexible", to_json(eval::compare_flexible(first, second))},
                             {"verdict", eval::describe_verdict(strict, names.front(), names[i])}});
  }
  out << json.dump(2) << '\n';
}

void print_eval_table(std::ostream& out, const EvalReport& report) {
  fmt::print(out, "{}\n", describe_settings(report));
  for (const EvalResult& result : report.results) print_result(out, report, result);
  const std::vector<std::string> names = short_names(report.results);
  for (size_t i = 1; i < report.results.size(); ++i) {
    const EvalResult& first = report.results.front();
    const PairedTable strict = eval::compare_strict(first, report.results[i]);
    const PairedTable flexible = eval::compare_flexible(first, report.results[i]);
    fmt::print(out, "\n{} against {}, on the same {} questions\n", names[i], names.front(), strict.total());
    print_pair(out, "strict", strict, names.front(), names[i]);
    print_pair(out, "flexible", flexible, names.front(), names[i]);
    fmt::print(out, "  {}\n", eval::describe_verdict(strict, names.front(), names[i]));
  }
}

}  // namespace beryl::cli
