#include "checkpoint/dialects/module_reading.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace beryl::checkpoint {

const TensorRecord& require(const Module& module, std::string_view suffix) {
  const TensorRecord* tensor = module.find(suffix);
  if (tensor != nullptr) return *tensor;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("'{}' has {} but no {}", module.name, module.suffix_list(), suffix),
              "a scale is never guessed; download the checkpoint again, or report it to its publisher");
}

void check_shape(const TensorRecord& tensor, std::span<const int64_t> expected) {
  if (std::equal(tensor.shape.begin(), tensor.shape.end(), expected.begin(), expected.end())) return;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("tensor '{}' has shape {}, but config.json calls for {}", tensor.name,
                          shape_text(tensor.shape), shape_text(expected)),
              "config.json and the weights belong to different models; download both again");
}

void check_dtype(const TensorRecord& tensor, std::span<const formats::DType> expected) {
  if (std::find(expected.begin(), expected.end(), tensor.dtype) != expected.end()) return;
  std::vector<std::string_view> names;
  for (const formats::DType dtype : expected) names.push_back(formats::dtype_name(dtype));
  throw Error(ErrorCode::kUnsupported,
              fmt::format("tensor '{}' has type {}, expected {}", tensor.name,
                          formats::dtype_name(tensor.dtype), fmt::join(names, " or ")));
}

void check_scale(const TensorRecord& tensor, std::span<const int64_t> expected) {
  constexpr formats::DType kFloats[] = {formats::DType::kBf16, formats::DType::kF16, formats::DType::kF32};
  check_dtype(tensor, kFloats);
  check_shape(tensor, expected);
}

void check_weight_shape(const TensorRecord& tensor, const ModuleShape& shape) {
  std::vector<int64_t> expected;
  if (shape.experts > 0) expected.push_back(shape.experts);
  expected.push_back(shape.rows);
  if (!shape.is_vector) expected.push_back(shape.cols);
  // A scalar may be stored without a dimension.
  if (shape.is_vector && shape.rows == 1 && tensor.shape.empty()) return;
  check_shape(tensor, expected);
}

void check_is_matrix(const Module& module, const ModuleShape& shape) {
  if (!shape.is_vector) return;
  const TensorRecord& tensor = *module.tensors.front().second;
  throw Error(ErrorCode::kUnsupported, fmt::format("'{}' is stored as {}, expected BF16, F16 or F32",
                                                   module.name, formats::dtype_name(tensor.dtype)));
}

bool is_scalar(const TensorRecord& tensor) {
  return std::all_of(tensor.shape.begin(), tensor.shape.end(), [](int64_t size) { return size == 1; });
}

formats::ElementRange whole(const TensorRecord& tensor) {
  return {.dtype = tensor.dtype, .range = tensor.range};
}

formats::ElementRange part_of(const formats::ElementRange& elements, int64_t index, int64_t part_count) {
  formats::ElementRange part = elements;
  part.range.bytes /= static_cast<uint64_t>(part_count);
  part.range.offset += static_cast<uint64_t>(index) * part.range.bytes;
  return part;
}

formats::ElementRange part_of(const TensorRecord& tensor, int64_t index, int64_t part_count) {
  return part_of(whole(tensor), index, part_count);
}

void check_no_other_tensors(const Module& module, std::span<const std::string_view> known_suffixes) {
  for (const auto& [suffix, record] : module.tensors) {
    if (std::find(known_suffixes.begin(), known_suffixes.end(), suffix) != known_suffixes.end()) continue;
    fail_unknown(module, *record);
  }
}

void fail_unknown(const Module& module, const TensorRecord& tensor) {
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("unknown tensor '{}': '{}' has no use for it", tensor.name, module.name),
              "a tensor that is not understood could change every result, so the checkpoint is refused");
}

void fail_contradiction(const Module& module, std::string_view stored, std::string_view configured) {
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("'{}' is stored as {}, but {}", module.name, stored, configured),
              "config.json does not belong to these weights, or was edited; take the one that was published "
              "with them");
}

}  // namespace beryl::checkpoint
