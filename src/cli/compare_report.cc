#include "cli/compare_report.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string_view>
#include <vector>

namespace beryl::cli {
namespace {

using eval::CompareResult;
using eval::LayerDifference;
using eval::PositionDifference;

// Tokens before a position that are shown with it.
constexpr size_t kContextTokens = 12;

std::string text_of(const CompareReport& report, std::span<const int32_t> tokens) {
  if (report.tokenizer == nullptr) return fmt::format("[{}]", fmt::join(tokens, " "));
  return report.tokenizer->decode(tokens, text::SpecialOutput::kKeep);
}

// On one line, printable.
std::string shown(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// What is around a position.
struct Excerpt {
  std::string before;
  std::string first_choice, second_choice;
  std::string next;  // empty behind the last token
};

Excerpt excerpt_of(const CompareReport& report, const PositionDifference& position) {
  const std::span<const int32_t> tokens = report.texts[position.text].tokens;
  const size_t end = position.position + 1;
  const size_t begin = end - std::min(end, kContextTokens);
  Excerpt excerpt = {.before = text_of(report, tokens.subspan(begin, end - begin)),
                     .first_choice = text_of(report, {&position.first_choice, 1}),
                     .second_choice = text_of(report, {&position.second_choice, 1}),
                     .next = {}};
  if (end < tokens.size()) excerpt.next = text_of(report, tokens.subspan(end, 1));
  return excerpt;
}

std::vector<PositionDifference> worst_positions(const CompareReport& report) {
  std::vector<PositionDifference> positions = report.result.positions;
  const size_t count = std::min(report.worst, positions.size());
  std::partial_sort(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(count),
                    positions.end(), [](const auto& a, const auto& b) {
                      return a.kl != b.kl ? a.kl > b.kl
                                          : std::pair(a.text, a.position) < std::pair(b.text, b.position);
                    });
  positions.resize(count);
  return positions;
}

nlohmann::ordered_json to_json(const CompareReport& report, const PositionDifference& position) {
  const Excerpt excerpt = excerpt_of(report, position);
  nlohmann::ordered_json json = {{"text", position.text},
                                 {"position", position.position},
                                 {"kl", position.kl},
                                 {"before", excerpt.before},
                                 {"first_choice", excerpt.first_choice},
                                 {"second_choice", excerpt.second_choice}};
  if (position.first_logprob) {
    json["next"] = excerpt.next;
    json["first_logprob"] = *position.first_logprob;
    json["second_logprob"] = *position.second_logprob;
  }
  return json;
}

void print_layers(std::ostream& out, const CompareResult& result) {
  const bool has_experts = std::any_of(result.layers.begin(), result.layers.end(),
                                       [](const LayerDifference& layer) { return layer.changed_choices; });
  fmt::print(out, "\n{:>9} {:>15}{}\n", "layer", "relative error",
             has_experts ? "  changed choices of experts  positions with one" : "");
  fmt::print(out, "{:>9} {:>15.3e}\n", "embedding", result.embedding_error);
  for (size_t i = 0; i < result.layers.size(); ++i) {
    const LayerDifference& layer = result.layers[i];
    fmt::print(out, "{:>9} {:>15.3e}", i, layer.relative_error);
    if (layer.changed_choices) {
      fmt::print(out, "  {:>24.2f} %  {:>17.2f} %", *layer.changed_choices * 100,
                 *layer.changed_positions * 100);
    }
    out << '\n';
  }
}

void print_worst(std::ostream& out, const CompareReport& report) {
  const std::vector<PositionDifference> positions = worst_positions(report);
  if (positions.empty() || positions.front().kl == 0) return;
  fmt::print(out, "\nwhere they differ most\n");
  for (const PositionDifference& position : positions) {
    if (position.kl == 0) break;
    const Excerpt excerpt = excerpt_of(report, position);
    fmt::print(out, "  KL {:.3g}, text {}, token {}, behind {}\n", position.kl, position.text,
               position.position, shown(excerpt.before));
    fmt::print(out, "    first choices {} and {}", shown(excerpt.first_choice), shown(excerpt.second_choice));
    if (position.first_logprob) {
      fmt::print(out, "; the text goes on with {}: log-probabilities {:.3f} and {:.3f}", shown(excerpt.next),
                 *position.first_logprob, *position.second_logprob);
    }
    out << '\n';
  }
}

}  // namespace

void print_compare_json(std::ostream& out, const CompareReport& report) {
  const CompareResult& result = report.result;
  nlohmann::ordered_json json = {{"first", report.first},
                                 {"second", report.second},
                                 {"compute", report.compute},
                                 {"texts", report.texts.size()},
                                 {"positions", result.positions.size()},
                                 {"kl_mean", result.kl_mean},
                                 {"kl_median", result.kl_median},
                                 {"kl_p99", result.kl_p99},
                                 {"kl_p999", result.kl_p999},
                                 {"kl_max", result.kl_max},
                                 {"same_choice", result.same_choice}};
  if (result.first_perplexity) {
    json["first_perplexity"] = *result.first_perplexity;
    json["second_perplexity"] = *result.second_perplexity;
  }
  if (!result.layers.empty()) json["embedding_error"] = result.embedding_error;
  for (const LayerDifference& layer : result.layers) {
    nlohmann::ordered_json each = {{"relative_error", layer.relative_error}};
    if (layer.changed_choices) {
      each["changed_choices"] = *layer.changed_choices;
      each["changed_positions"] = *layer.changed_positions;
    }
    json["layers"].push_back(std::move(each));
  }
  json["worst"] = nlohmann::ordered_json::array();
  for (const PositionDifference& position : worst_positions(report)) {
    json["worst"].push_back(to_json(report, position));
  }
  out << json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

void print_compare_table(std::ostream& out, const CompareReport& report) {
  const CompareResult& result = report.result;
  fmt::print(out, "{} against {}: {} positions of {} texts, {} arithmetic\n\n", report.second, report.first,
             result.positions.size(), report.texts.size(), report.compute);
  fmt::print(
      out, "KL divergence   mean {:.4g}, median {:.4g}, 99 % {:.4g}, 99.9 % {:.4g}, largest {:.4g} (nats)\n",
      result.kl_mean, result.kl_median, result.kl_p99, result.kl_p999, result.kl_max);
  fmt::print(out, "first choice    the same at {:.3f} % of positions\n", result.same_choice * 100);
  if (result.first_perplexity) {
    fmt::print(out, "perplexity      {:.5g} and {:.5g} ({:+.3f} %)\n", *result.first_perplexity,
               *result.second_perplexity, (*result.second_perplexity / *result.first_perplexity - 1) * 100);
  }
  if (!result.layers.empty()) print_layers(out, result);
  print_worst(out, report);
}

}  // namespace beryl::cli
