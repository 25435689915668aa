#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "checkpoint/dialects/compressed_tensors.h"
#include "checkpoint/dialects/dialect.h"
#include "checkpoint/dialects/plain.h"

namespace beryl::checkpoint {

namespace {

const CompressedTensorsDialect kCompressedTensors;
const PlainDialect kPlain;

constexpr std::array<const Dialect*, 2> kDialects = {&kCompressedTensors, &kPlain};

}  // namespace

std::span<const Dialect* const> all_dialects() {
  return kDialects;
}

std::string supported_quantisations() {
  std::vector<std::string> texts;
  for (const Dialect* dialect : all_dialects()) {
    texts.push_back(fmt::format("{}: {}", dialect->name(), dialect->capabilities()));
  }
  return fmt::format("{}", fmt::join(texts, "; "));
}

const TensorRecord* Module::find(std::string_view suffix) const {
  for (const auto& [candidate, record] : tensors) {
    if (candidate == suffix) return record;
  }
  return nullptr;
}

std::string Module::suffix_list() const {
  std::vector<std::string_view> suffixes;
  for (const auto& [suffix, record] : tensors) {
    suffixes.push_back(suffix.empty() ? std::string_view("(no suffix)") : std::string_view(suffix));
  }
  return fmt::format("{}", fmt::join(suffixes, ", "));
}

void check_weight_shape(const TensorRecord& tensor, const ModuleShape& shape) {
  std::vector<int64_t> expected;
  if (shape.experts > 0) expected.push_back(shape.experts);
  expected.push_back(shape.rows);
  if (!shape.is_vector) expected.push_back(shape.cols);
  if (tensor.shape == expected) return;
  // A scalar may be stored without a dimension.
  if (shape.is_vector && shape.rows == 1 && tensor.shape.empty()) return;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("tensor '{}' has shape {}, but config.json calls for {}", tensor.name,
                          shape_text(tensor.shape), shape_text(expected)),
              "config.json and the weights belong to different models; download both again");
}

formats::ElementRange part_of(const TensorRecord& tensor, int64_t index, int64_t part_count) {
  const uint64_t bytes = tensor.range.bytes / static_cast<uint64_t>(part_count);
  return {.dtype = tensor.dtype,
          .range = {.file = tensor.range.file,
                    .offset = tensor.range.offset + static_cast<uint64_t>(index) * bytes,
                    .bytes = bytes}};
}

void check_no_other_tensors(const Module& module, std::span<const std::string_view> known_suffixes) {
  for (const auto& [suffix, record] : module.tensors) {
    if (std::find(known_suffixes.begin(), known_suffixes.end(), suffix) != known_suffixes.end()) continue;
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("unknown tensor '{}': '{}' has no use for it", record->name, module.name),
                "a tensor that is not understood could change every result, so the checkpoint is refused");
  }
}

}  // namespace beryl::checkpoint
