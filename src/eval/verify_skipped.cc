#include "eval/verify_skipped.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "checkpoint/dialects/module_reading.h"
#include "formats/decoder.h"
#include "formats/plain.h"

namespace beryl::eval {
namespace {

using checkpoint::Role;
using checkpoint::TensorName;
using checkpoint::TensorRecord;
using formats::DType;

constexpr uint64_t kBytesAtOnce = uint64_t{4} << 20;
// More numbers than any scale of an activation has.
constexpr int64_t kScaleElementsMax = 1 << 20;

class SkippedCheck {
 public:
  SkippedCheck(const checkpoint::Checkpoint& checkpoint, uint64_t& bytes_read)
      : weights_(checkpoint.weights()), tensors_(checkpoint.shards().tensors()), bytes_read_(bytes_read) {}

  std::vector<Finding> run() {
    for (const checkpoint::SkippedTensor& skipped : weights_.skipped()) {
      const TensorRecord* record = tensors_.find(skipped.name);
      if (record != nullptr) check(*record, skipped.reason);
    }
    for (auto& [kind, finding] : counted_) {
      if (finding.second > 1) finding.first.found += fmt::format(" (and {} more)", finding.second - 1);
      findings_.push_back(std::move(finding.first));
    }
    return std::move(findings_);
  }

 private:
  void check(const TensorRecord& record, std::string_view reason) {
    bytes_read_ += record.range.bytes;
    const TensorName::Kind kind = checkpoint::parse_tensor_name(record.name).kind;
    if (reason == checkpoint::kShapeRecord) {
      check_shape_record(record);
    } else if (reason == checkpoint::kActivationScaleUnused) {
      check_scale(
          record, "activation-scale",
          "an expert that saw no token in calibration (llm-compressor PR 2826) keeps uninitialised memory; "
          "engines that quantise activations answer with NaN or garbage when it is hit");
    } else if (kind == TensorName::Kind::kKvCacheScale) {
      check_scale(record, "cache-scale", "engines that quantise the key/value cache answer with garbage");
    } else if (kind == TensorName::Kind::kTower) {
      check_tower(record);
    }
  }

  // The same of many tensors is told once.
  void add_counted(const TensorRecord& record, std::string_view kind, std::string found, std::string expected,
                   std::string_view meaning) {
    auto& [finding, count] = counted_[kind];
    if (count++ > 0) return;
    finding = {.severity = Severity::kWarning,
               .kind = kind,
               .module = record.name,
               .found = std::move(found),
               .expected = std::move(expected),
               .meaning = std::string(meaning)};
  }

  void check_scale(const TensorRecord& record, std::string_view kind, std::string_view meaning) {
    const formats::ElementRange elements{.dtype = record.dtype, .range = record.range};
    if (!formats::is_plain(record.dtype) || elements.count() > kScaleElementsMax) return;
    for (const float value : formats::read_floats(elements)) {
      if (std::isfinite(value) && value > 0) continue;
      add_counted(record, kind, fmt::format("the scale is {}", value), "a finite positive number", meaning);
      return;
    }
  }

  // Integers of a small tensor; empty when it holds something else.
  static std::vector<int64_t> read_integers(const TensorRecord& record) {
    std::vector<int64_t> values;
    if (record.range.bytes > 64) return values;
    std::vector<std::byte> bytes(record.range.bytes);
    record.range.file->read(record.range.offset, bytes);
    const auto add_all = [&]<typename Integer>(Integer value) {
      for (size_t i = 0; i + sizeof(value) <= bytes.size(); i += sizeof(value)) {
        std::memcpy(&value, &bytes[i], sizeof(value));
        values.push_back(value);
      }
    };
    if (record.dtype == DType::kI64) add_all(int64_t{});
    if (record.dtype == DType::kI32) add_all(int32_t{});
    return values;
  }

  void check_shape_record(const TensorRecord& record) {
    Role role = checkpoint::parse_tensor_name(record.name).role;
    int64_t halves = 1;
    int64_t experts = 0;
    if (const auto part = part_of_one_expert(role.part)) {
      if (role.part == checkpoint::Part::kFusedExpertsGateUp) halves = 2;
      role.part = *part;
      for (role.expert = 0; weights_.find(role) != nullptr; ++role.expert) ++experts;
      role.expert = 0;
    }
    const checkpoint::Weight* weight = weights_.find(role);
    if (weight == nullptr) return;
    std::vector<int64_t> expected = {weight->matrix.rows * halves, weight->matrix.cols};
    const std::vector<int64_t> found = read_integers(record);
    if (experts > 0 && found.size() != expected.size()) expected.insert(expected.begin(), experts);
    if (found == expected) return;
    findings_.push_back({.severity = Severity::kError,
                         .kind = "shape-record",
                         .module = record.name,
                         .found = fmt::format("the record says {}", checkpoint::shape_text(found)),
                         .expected = checkpoint::shape_text(expected),
                         .meaning = "the weight was packed from another shape than the network has, or the "
                                    "record belongs to another tensor"});
  }

  void check_tower(const TensorRecord& record) {
    // Bounds that clip nothing are infinite.
    const bool is_bound = record.name.ends_with("_min") || record.name.ends_with("_max");
    if (is_bound || !formats::is_plain(record.dtype)) return;
    std::vector<std::byte> bytes;
    std::vector<float> values;
    const auto element = static_cast<uint64_t>(formats::dtype_bits(record.dtype) / 8);
    for (uint64_t offset = 0; offset < record.range.bytes; offset += kBytesAtOnce) {
      bytes.resize(std::min(kBytesAtOnce, record.range.bytes - offset));
      values.resize(bytes.size() / element);
      record.range.file->read(record.range.offset + offset, bytes);
      formats::decode_plain(record.dtype, bytes, values);
      if (std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
        continue;
      add_counted(record, "tower-non-finite", "values are NaN or infinite", "finite values",
                  "the file is damaged; only images or sound are concerned");
      return;
    }
  }

  const checkpoint::WeightMap& weights_;
  const checkpoint::TensorTable& tensors_;
  uint64_t& bytes_read_;
  std::map<std::string_view, std::pair<Finding, int64_t>> counted_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> check_skipped(const checkpoint::Checkpoint& checkpoint, uint64_t& bytes_read) {
  return SkippedCheck(checkpoint, bytes_read).run();
}

}  // namespace beryl::eval
