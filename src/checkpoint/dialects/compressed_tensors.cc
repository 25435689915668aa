#include "checkpoint/dialects/compressed_tensors.h"

#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "formats/plain.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using formats::ScaleGrid;

constexpr std::array<std::string_view, 1> kMethods = {"compressed-tensors"};
constexpr std::array<std::string_view, 3> kSuffixes = {"weight", "weight_scale", "input_scale"};

ScaleGrid scale_grid_of(const TensorRecord& scale, const ModuleShape& shape) {
  const std::vector<int64_t>& s = scale.shape;
  const bool is_column = s.size() == 1 || (s.size() == 2 && s[1] == 1);
  if (is_column && s[0] == shape.rows) return ScaleGrid::kPerRow;
  if (s.empty() || (is_column && s[0] == 1)) return ScaleGrid::kPerTensor;
  const bool is_grid = s.size() == 2 && s[0] <= shape.rows && s[1] <= shape.cols;
  throw Error(
      is_grid ? ErrorCode::kUnsupported : ErrorCode::kInvalidInput,
      fmt::format("scale '{}' has shape {}, expected [{}] or [{},1] (per row), [] or [1] (per tensor)",
                  scale.name, shape_text(s), shape.rows, shape.rows),
      is_grid ? "scales per block of the matrix are not supported yet" : "");
}

// The configuration must say the same of the module as the tensors do.
void check_config(const Module& module, ScaleGrid grid, bool is_single_row,
                  const QuantizationConfig& quantization) {
  const QuantizationScheme* scheme = quantization.find_scheme(module.role, module.name);
  if (scheme == nullptr) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("'{}' is stored as FP8, but {} says that it is not quantised", module.name,
                    quantization.is_present() ? "quantization_config" : "config.json"),
        "config.json does not belong to these weights, or was edited; take the one that was published "
        "with them");
  }
  if (scheme->type != "float" || scheme->bits != 8) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("'{}' is stored as FP8, but quantization_config group '{}' says {} with {} bits",
                            module.name, scheme->group, scheme->type, scheme->bits));
  }
  const std::string_view expected = grid == ScaleGrid::kPerRow ? "channel" : "tensor";
  if (scheme->strategy != expected && !(is_single_row && scheme->strategy == "tensor")) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("'{}' has scales {}, but quantization_config group '{}' has strategy \"{}\"",
                            module.name, formats::scale_grid_name(grid), scheme->group, scheme->strategy));
  }
}

}  // namespace

std::span<const std::string_view> CompressedTensorsDialect::methods() const {
  return kMethods;
}

bool CompressedTensorsDialect::reads(const QuantizationScheme& scheme) const {
  return scheme.type == "float" && scheme.bits == 8 &&
         (scheme.strategy == "channel" || scheme.strategy == "tensor");
}

bool CompressedTensorsDialect::recognises(const Module& module) const {
  const TensorRecord* weight = module.find("weight");
  if (weight == nullptr) return module.find("weight_scale") != nullptr;
  return weight->dtype == DType::kF8E4M3;
}

ModuleReading CompressedTensorsDialect::read(const Module& module, const ModuleShape& shape,
                                             const QuantizationConfig& quantization) const {
  const TensorRecord* weight = module.find("weight");
  const TensorRecord* scale = module.find("weight_scale");
  if (weight == nullptr || scale == nullptr) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("'{}' has {} but no {}", module.name, module.suffix_list(),
                            weight == nullptr ? "weight" : "weight_scale"),
                "a scale is never guessed; download the checkpoint again, or report it to its publisher");
  }
  check_no_other_tensors(module, kSuffixes);
  if (shape.is_vector) {
    throw Error(ErrorCode::kUnsupported, fmt::format("'{}' is stored as {}, expected BF16, F16 or F32",
                                                     module.name, formats::dtype_name(weight->dtype)));
  }
  check_weight_shape(*weight, shape);
  if (!formats::is_plain(scale->dtype)) {
    throw Error(ErrorCode::kUnsupported, fmt::format("scale '{}' has type {}, expected BF16, F16 or F32",
                                                     scale->name, formats::dtype_name(scale->dtype)));
  }
  const ScaleGrid grid = scale_grid_of(*scale, shape);
  check_config(module, grid, shape.rows == 1, quantization);

  ModuleReading reading;
  reading.matrices.push_back({.rows = shape.rows,
                              .cols = shape.cols,
                              .format = formats::Format::kFp8E4m3,
                              .codes = part_of(*weight, 0, 1),
                              .scale_grid = grid,
                              .scales = part_of(*scale, 0, 1)});
  if (const TensorRecord* input_scale = module.find("input_scale")) {
    reading.skipped.emplace_back(input_scale,
                                 "scale of quantised activations; activations are not quantised");
  }
  return reading;
}

}  // namespace beryl::checkpoint
