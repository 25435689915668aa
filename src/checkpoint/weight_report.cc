#include "checkpoint/weight_report.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace beryl::checkpoint {
namespace {

// Position in the report and name.
using ClassName = std::pair<int, std::string_view>;

// By PartClass.
constexpr std::array<std::string_view, 9> kClassNames = {
    "embedding", "per-layer embedding", "per-layer inputs",
    "attention", "dense MLP",           "router",
    "experts",   "norms and scalars",   "head"};

ClassName class_name(Part part) {
  const auto position = static_cast<size_t>(class_of(part));
  return {static_cast<int>(position), kClassNames[position]};
}

ClassName class_of_tower(std::string_view tensor) {
  const bool is_audio = tensor.find("audio") != std::string_view::npos;
  return is_audio ? ClassName{10, "audio tower"} : ClassName{9, "vision tower"};
}

std::string lower_case(std::string_view name) {
  std::string text(name);
  for (char& letter : text) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return text;
}

// All places in the files that a matrix takes numbers from.
void append_ranges(const formats::QuantMatrix& matrix, std::vector<FileRange>& ranges) {
  const auto add = [&](const formats::ElementRange& elements) { ranges.push_back(elements.range); };
  add(matrix.codes);
  if (matrix.scales) add(matrix.scales->values);
  if (matrix.minimums) add(matrix.minimums->values);
  if (matrix.zeros) add(matrix.zeros->words);
  if (matrix.global_scale) add(*matrix.global_scale);
  if (matrix.group_index) add(*matrix.group_index);
  if (matrix.nf4_table) add(*matrix.nf4_table);
  if (matrix.nested_scales) {
    add(matrix.nested_scales->map);
    add(matrix.nested_scales->scales);
  }
}

// Bytes that lie in at least one of the ranges.
uint64_t covered_bytes(std::vector<FileRange>& ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const FileRange& a, const FileRange& b) {
    if (a.file != b.file) return std::less<>()(a.file, b.file);
    return a.offset < b.offset;
  });
  uint64_t bytes = 0;
  const File* file = nullptr;
  uint64_t end = 0;  // of what is counted of `file`
  for (const FileRange& range : ranges) {
    if (range.file != file) end = 0;
    file = range.file;
    const uint64_t begin = std::max(range.offset, end);
    end = std::max(end, range.offset + range.bytes);
    bytes += end - std::min(begin, end);
  }
  return bytes;
}

bool is_of_one_expert(Part part) {
  return part == Part::kExpertGate || part == Part::kExpertUp || part == Part::kExpertDown;
}

class ReportBuilder {
 public:
  ReportBuilder(const WeightMap& map, const ModelConfig& config, const TensorTable& table)
      : map_(map),
        config_(config),
        table_(table),
        is_head_tied_(map.find({.part = Part::kHead, .layer = -1, .expert = -1}) == nullptr) {}

  WeightReport build() {
    for (const auto& [role, weight] : map_.weights()) add(role, weight);
    for (const SkippedTensor& skipped : map_.skipped()) add_skipped(skipped);
    for (auto& [key, entry] : entries_) {
      entry.shown.bytes = covered_bytes(entry.ranges);
      report_.classes.push_back(std::move(entry.shown));
    }
    if (config_.is_moe()) {
      report_.active_parameters += expert_parameters_ / static_cast<uint64_t>(config_.expert_count) *
                                   static_cast<uint64_t>(config_.experts_per_token);
    }
    report_.tensors = static_cast<int64_t>(table_.records().size());
    for (const TensorRecord& record : table_.records()) report_.tensor_bytes += record.range.bytes;
    return std::move(report_);
  }

 private:
  struct Entry {
    WeightClass shown;
    std::vector<FileRange> ranges;
  };

  Entry& entry(const ClassName& name, std::string_view dialect, std::string_view format, std::string scales) {
    const auto [position, is_new] =
        entries_.try_emplace({name.first, std::string(dialect), std::string(format), std::move(scales)});
    WeightClass& shown = position->second.shown;
    if (is_new) {
      shown.name = name.second;
      shown.dialect = dialect;
      shown.format = format;
      shown.scales = std::get<3>(position->first);
    }
    return position->second;
  }

  void add(const Role& role, const Weight& weight) {
    const formats::QuantMatrix& matrix = weight.matrix;
    Entry& to = entry(class_name(role.part), weight.dialect, formats::format_name(matrix.format),
                      formats::scale_text(matrix));
    const uint64_t parameters = static_cast<uint64_t>(matrix.rows) * static_cast<uint64_t>(matrix.cols);
    ++to.shown.count;
    to.shown.parameters += parameters;
    append_ranges(matrix, to.ranges);
    report_.parameters += parameters;
    const bool is_table =
        role.part == Part::kPerLayerEmbedding || (role.part == Part::kEmbedding && !is_head_tied_);
    if (is_of_one_expert(role.part)) {
      expert_parameters_ += parameters;
    } else {
      report_.active_parameters += is_table ? static_cast<uint64_t>(matrix.cols) : parameters;
    }
  }

  void add_skipped(const SkippedTensor& skipped) {
    const TensorRecord* record = table_.find(skipped.name);
    BERYL_CHECK(record != nullptr);
    auto same = std::find_if(report_.skipped.begin(), report_.skipped.end(),
                             [&](const SkippedClass& other) { return other.reason == skipped.reason; });
    if (same == report_.skipped.end()) {
      same = report_.skipped.insert(same, {.reason = skipped.reason, .count = 0, .bytes = 0});
    }
    ++same->count;
    same->bytes += record->range.bytes;
    if (parse_tensor_name(record->name).kind == TensorName::Kind::kTower) add_tower(*record);
  }

  void add_tower(const TensorRecord& record) {
    Entry& to = entry(class_of_tower(record.name), "", lower_case(formats::dtype_name(record.dtype)), "none");
    to.shown.is_loaded = false;
    ++to.shown.count;
    to.shown.parameters +=
        static_cast<uint64_t>(formats::ElementRange{.dtype = record.dtype, .range = record.range}.count());
    to.ranges.push_back(record.range);
  }

  const WeightMap& map_;
  const ModelConfig& config_;
  const TensorTable& table_;
  const bool is_head_tied_;
  // By position, dialect, format and scales.
  std::map<std::tuple<int, std::string, std::string, std::string>, Entry> entries_;
  uint64_t expert_parameters_ = 0;
  WeightReport report_;
};

}  // namespace

double WeightClass::bits_per_weight() const {
  return parameters == 0 ? 0 : 8 * static_cast<double>(bytes) / static_cast<double>(parameters);
}

WeightReport make_weight_report(const WeightMap& map, const ModelConfig& config, const TensorTable& table) {
  return ReportBuilder(map, config, table).build();
}

}  // namespace beryl::checkpoint
