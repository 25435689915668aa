#include "checkpoint/weight_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace beryl::checkpoint {
namespace {

// Position in the report and name.
std::pair<int, std::string_view> class_of(Part part) {
  switch (part) {
    case Part::kEmbedding:
      return {0, "embedding"};
    case Part::kPerLayerEmbedding:
      return {1, "per-layer embedding"};
    case Part::kPerLayerModelProjection:
    case Part::kPerLayerInputGate:
    case Part::kPerLayerProjection:
      return {2, "per-layer inputs"};
    case Part::kQ:
    case Part::kK:
    case Part::kV:
    case Part::kO:
      return {3, "attention"};
    case Part::kGate:
    case Part::kUp:
    case Part::kDown:
      return {4, "dense MLP"};
    case Part::kRouterProjection:
    case Part::kRouterScale:
    case Part::kPerExpertScale:
      return {5, "router"};
    case Part::kExpertGate:
    case Part::kExpertUp:
    case Part::kExpertDown:
    case Part::kFusedExpertsGateUp:
    case Part::kFusedExpertsGate:
    case Part::kFusedExpertsUp:
    case Part::kFusedExpertsDown:
      return {6, "experts"};
    case Part::kHead:
      return {8, "head"};
    default:
      return {7, "norms and scalars"};
  }
}

}  // namespace

WeightReport make_weight_report(const WeightMap& map) {
  std::map<std::tuple<int, std::string_view, formats::Format, std::string>, WeightClass> classes;
  for (const auto& [role, weight] : map.weights()) {
    const auto [order, name] = class_of(role.part);
    const formats::QuantMatrix& matrix = weight.matrix;
    const std::string scales = formats::scale_text(matrix);
    WeightClass& entry = classes[{order, weight.dialect, matrix.format, scales}];
    entry.name = name;
    entry.dialect = weight.dialect;
    entry.format = formats::format_name(matrix.format);
    entry.scales = scales;
    ++entry.count;
    entry.parameters += static_cast<uint64_t>(matrix.rows) * static_cast<uint64_t>(matrix.cols);
    entry.bytes += matrix.published_bytes();
  }
  WeightReport report;
  for (const auto& [key, entry] : classes) report.classes.push_back(entry);
  for (const SkippedTensor& tensor : map.skipped()) {
    const auto same = std::find_if(report.skipped.begin(), report.skipped.end(),
                                   [&](const SkippedClass& entry) { return entry.reason == tensor.reason; });
    if (same == report.skipped.end()) {
      report.skipped.push_back({tensor.reason, 1});
    } else {
      ++same->count;
    }
  }
  return report;
}

std::string format_weight_report(const WeightReport& report) {
  std::string text = fmt::format("{:<20} {:<19} {:<9} {:<18} {:>7} {:>15} {:>15}\n", "class", "dialect",
                                 "format", "scales", "tensors", "parameters", "bytes");
  for (const WeightClass& entry : report.classes) {
    text += fmt::format("{:<20} {:<19} {:<9} {:<18} {:>7} {:>15} {:>15}\n", entry.name, entry.dialect,
                        entry.format, entry.scales, entry.count, entry.parameters, entry.bytes);
  }
  for (const SkippedClass& entry : report.skipped) {
    text += fmt::format("skipped {} tensors: {}\n", entry.count, entry.reason);
  }
  return text;
}

}  // namespace beryl::checkpoint
