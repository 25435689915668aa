#include "eval/verify_magnitudes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

namespace beryl::eval {
namespace {

using checkpoint::Part;
using checkpoint::Role;

// An expert beside the median of its layer.
constexpr double kExpertFactor = 4;
// A projection beside the median of the layers within kNeighbours of it.
constexpr double kLayerFactor = 16;
constexpr double kLayerFactorOfError = 256;
constexpr int32_t kNeighbours = 3;
// Share of groups whose codes stay away from the ends of their range, beside the median of the same
// projection.
constexpr double kSlackShare = 0.2;
constexpr int64_t kSlackGroupsMin = 32;

bool is_expert(const Role& role) {
  return role.expert >= 0;
}

double factor_between(double a, double b) {
  return a > b ? a / b : b / a;
}

Finding finding_of(const MatrixSummary& summary, Severity severity, std::string_view kind, std::string found,
                   std::string expected, std::string meaning) {
  return {.severity = severity,
          .kind = kind,
          .module = weight_label(*summary.weight.role, *summary.weight.weight),
          .found = std::move(found),
          .expected = std::move(expected),
          .meaning = std::move(meaning)};
}

// Matrices of one part in one layer: one, or all experts.
using ByLayer = std::map<std::pair<Part, int32_t>, std::vector<const MatrixSummary*>>;

std::vector<double> magnitudes(const std::vector<const MatrixSummary*>& summaries) {
  std::vector<double> values;
  for (const MatrixSummary* summary : summaries) values.push_back(summary->rms);
  return values;
}

void check_experts(const std::vector<const MatrixSummary*>& experts, std::vector<Finding>& findings) {
  const double middle = median(magnitudes(experts));
  if (experts.size() < 3 || middle == 0) return;
  for (const MatrixSummary* expert : experts) {
    if (expert->rms == 0 || factor_between(expert->rms, middle) <= kExpertFactor)
      continue;  // zero is told apart
    findings.push_back(finding_of(
        *expert, Severity::kError, "expert-magnitude",
        fmt::format("root mean square {:.3g}, the median of the layer's experts is {:.3g}", expert->rms,
                    middle),
        fmt::format("a factor of up to {:g}", kExpertFactor),
        "the expert's scale is missing, of another expert or stored the wrong way round, or the expert is of "
        "another checkpoint"));
  }
}

void check_layers(const ByLayer& by_layer, std::vector<Finding>& findings) {
  for (const auto& [key, summaries] : by_layer) {
    const auto [part, layer] = key;
    const double own = median(magnitudes(summaries));
    const int64_t cols = summaries.front()->weight.weight->matrix.cols;
    std::vector<double> others;
    for (int32_t other = layer - kNeighbours; other <= layer + kNeighbours; ++other) {
      const auto found = by_layer.find({part, other});
      if (other == layer || found == by_layer.end()) continue;
      // Layers of another kind have other shapes.
      if (found->second.front()->weight.weight->matrix.cols != cols) continue;
      others.push_back(median(magnitudes(found->second)));
    }
    const double middle = median(others);
    if (own == 0 || middle == 0 || factor_between(own, middle) <= kLayerFactor) continue;
    const bool is_certain = factor_between(own, middle) > kLayerFactorOfError;
    findings.push_back(
        finding_of(*summaries.front(), is_certain ? Severity::kError : Severity::kWarning, "layer-magnitude",
                   fmt::format("root mean square {:.3g}{}, in the neighbouring layers {:.3g}", own,
                               summaries.size() > 1 ? " (median of the layer's experts)" : "", middle),
                   fmt::format("a factor of up to {:g}", kLayerFactor),
                   "a scale is missing, applied twice or stored the wrong way round"));
  }
}

// Scales made from the largest value of their groups leave a code at the end of the range in each. Codes that
// were transposed or moved keep their range, but not group by group.
void check_slack(std::span<const MatrixSummary> summaries, std::vector<Finding>& findings) {
  const auto share = [](const MatrixSummary& summary) {
    return static_cast<double>(summary.slack_groups) / static_cast<double>(summary.groups);
  };
  const auto key = [](const MatrixSummary& summary) {
    const formats::QuantMatrix& matrix = summary.weight.weight->matrix;
    return std::pair(summary.weight.role->part, std::pair(matrix.format, formats::scale_text(matrix)));
  };
  std::map<decltype(key(summaries.front())), std::vector<const MatrixSummary*>> likes;
  for (const MatrixSummary& summary : summaries) {
    if (summary.groups >= kSlackGroupsMin) likes[key(summary)].push_back(&summary);
  }
  for (const auto& [unused, matrices] : likes) {
    std::vector<double> shares;
    for (const MatrixSummary* matrix : matrices) shares.push_back(share(*matrix));
    const double middle = median(shares);
    for (const MatrixSummary* matrix : matrices) {
      if (share(*matrix) <= middle + kSlackShare) continue;
      findings.push_back(
          finding_of(*matrix, Severity::kWarning, "codes-beside-scales",
                     fmt::format("{} of {} groups use no code near the end of the range",
                                 matrix->slack_groups, matrix->groups),
                     fmt::format("about {:.0f} %, as in the same projection elsewhere", middle * 100),
                     "codes and scales do not belong together: codes transposed or in another order, or "
                     "scales of another "
                     "tensor"));
    }
  }
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<Finding> check_magnitudes(std::span<const MatrixSummary> summaries) {
  std::vector<Finding> findings;
  ByLayer by_layer;
  for (const MatrixSummary& summary : summaries) {
    const Role& role = *summary.weight.role;
    if (role.layer >= 0) by_layer[{role.part, role.layer}].push_back(&summary);
  }
  for (const auto& [key, experts] : by_layer) {
    if (is_expert(*experts.front()->weight.role)) check_experts(experts, findings);
  }
  check_layers(by_layer, findings);
  if (!summaries.empty()) check_slack(summaries, findings);
  return findings;
}

}  // namespace beryl::eval
