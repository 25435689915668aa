#include "checkpoint/dialects/modelopt.h"

#include <fmt/format.h>

#include <array>

#include "base/checked_math.h"
#include "base/error.h"
#include "checkpoint/dialects/fp8_matrices.h"
#include "checkpoint/dialects/modelopt_rules.h"
#include "checkpoint/dialects/module_reading.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using formats::Format;
using formats::QuantMatrix;
using formats::TileValues;

constexpr std::array<std::string_view, 2> kMethods = {"modelopt", "modelopt_fp4"};
constexpr int64_t kNvGroup = 16;
constexpr int64_t kBlock = 128;

// What the tensors of a module turned out to be.
struct Stored {
  std::string_view text;  // for messages
  int64_t bits = 0;
  std::string_view strategy;
  int64_t group_size = 0;
  std::vector<QuantMatrix> matrices;
};

Stored read_nvfp4(const Module& module, const ModuleShape& shape) {
  constexpr std::array<std::string_view, 4> kSuffixes = {"weight", "weight_scale", "weight_scale_2",
                                                         "input_scale"};
  constexpr DType kE4m3[] = {DType::kF8E4M3};
  constexpr DType kF32[] = {DType::kF32};
  const TensorRecord& weight = require(module, "weight");
  const TensorRecord& scale = require(module, "weight_scale");
  const TensorRecord& global = require(module, "weight_scale_2");
  check_no_other_tensors(module, kSuffixes);
  check_is_matrix(module, shape);
  const int64_t code_bytes[] = {shape.rows, ceil_div(shape.cols, 2)};
  const int64_t groups[] = {shape.rows, ceil_div(shape.cols, kNvGroup)};
  check_shape(weight, code_bytes);
  check_dtype(scale, kE4m3);
  check_shape(scale, groups);
  check_dtype(global, kF32);
  if (!is_scalar(global)) check_shape(global, {});
  Stored stored{.text = "NVFP4", .bits = 4, .strategy = "tensor_group", .group_size = kNvGroup};
  stored.matrices.push_back(
      {.rows = shape.rows,
       .cols = shape.cols,
       .format = Format::kNvFp4,
       .codes = whole(weight),
       .scales = TileValues{.values = whole(scale), .tile_rows = 1, .tile_cols = kNvGroup},
       .global_scale = whole(global)});
  return stored;
}

bool is_block_grid(std::span<const int64_t> s, const ModuleShape& shape) {
  const int64_t down = ceil_div(shape.rows, kBlock);
  const int64_t across = ceil_div(shape.cols, kBlock);
  if (s.size() == 2) return s[0] == down && s[1] == across;
  return s.size() == 4 && s[0] == down && s[1] == 1 && s[2] == across && s[3] == 1;
}

Stored read_fp8(const Module& module, const ModuleShape& shape) {
  constexpr std::array<std::string_view, 3> kSuffixes = {"weight", "weight_scale", "input_scale"};
  constexpr DType kE4m3[] = {DType::kF8E4M3};
  constexpr DType kFloats[] = {DType::kF32, DType::kBf16, DType::kF16};
  const TensorRecord& weight = require(module, "weight");
  const TensorRecord& scale = require(module, "weight_scale");
  check_no_other_tensors(module, kSuffixes);
  check_is_matrix(module, shape);
  check_dtype(weight, kE4m3);
  check_weight_shape(weight, shape);
  check_dtype(scale, kFloats);
  const auto make = [&](std::string_view text, std::string_view strategy, int64_t tile_rows,
                        int64_t tile_cols) {
    return Stored{.text = text,
                  .bits = 8,
                  .strategy = strategy,
                  .matrices = fp8_matrices(shape, weight, scale, tile_rows, tile_cols)};
  };
  const std::vector<int64_t>& s = scale.shape;
  if (is_scalar(scale)) return make("FP8 with one scale", "tensor", shape.rows, shape.cols);
  const bool is_column = s.size() == 1 || (s.size() == 2 && s[1] == 1);
  if (is_column && s[0] == shape.rows) return make("FP8 with a scale per row", "channel", 1, shape.cols);
  if (is_block_grid(s, shape)) return make("FP8 with a scale per block", "block", kBlock, kBlock);
  throw Error(
      ErrorCode::kInvalidInput,
      fmt::format("scale '{}' has shape {}, expected [] (FP8), [{}] (FP8_PC_PT) or [{},1,{},1] (FP8_PB_WO)",
                  scale.name, shape_text(s), shape.rows, ceil_div(shape.rows, kBlock),
                  ceil_div(shape.cols, kBlock)),
      "config.json and the weights belong to different models; download both again");
}

// Algorithms whose tensors look like others', or like others' with some more.
void check_algorithm(const Module& module, const QuantizationScheme* scheme) {
  const auto fail = [&](std::string_view algorithm) {
    fail_unsupported(module, fmt::format("ModelOpt's {}", algorithm), ModelOptDialect().capabilities());
  };
  if (scheme != nullptr && !reads_modelopt_algorithm(scheme->format)) fail(scheme->format);
  if (module.find("pre_quant_scale") != nullptr) fail("AWQ (pre_quant_scale)");
}

void check_agreement(const Module& module, const ModuleShape& shape, const Stored& stored,
                     const QuantizationScheme& scheme) {
  // One row, or one block, is spelt as one tensor.
  const bool is_one_row = shape.rows == 1 && scheme.strategy == "channel";
  const bool is_one_block = shape.rows <= kBlock && shape.cols <= kBlock && scheme.strategy == "block";
  const bool is_strategy_right = scheme.strategy.empty() || scheme.strategy == stored.strategy ||
                                 (stored.strategy == "tensor" && (is_one_row || is_one_block));
  const bool is_group_right = scheme.group_size == 0 || scheme.group_size == stored.group_size;
  if (scheme.type == "float" && scheme.bits == stored.bits && is_strategy_right && is_group_right) return;
  std::string configured =
      fmt::format("quantization_config says {} ({} with {} bits", scheme.format, scheme.type, scheme.bits);
  if (scheme.group_size != 0) configured += fmt::format(", groups of {}", scheme.group_size);
  fail_contradiction(module, stored.text, configured + ")");
}

}  // namespace

std::span<const std::string_view> ModelOptDialect::methods() const {
  return kMethods;
}

void ModelOptDialect::read_rules(const ConfigFields& section, QuantizationRules& rules) const {
  read_modelopt_rules(section, rules);
}

bool ModelOptDialect::reads(const QuantizationScheme& scheme) const {
  return reads_modelopt_algorithm(scheme.format);
}

bool ModelOptDialect::recognises(const Module& module) const {
  if (module.find("weight_scale_2") != nullptr || module.find("pre_quant_scale") != nullptr) return true;
  const TensorRecord* weight = module.find("weight");
  const TensorRecord* scale = module.find("weight_scale");
  if (weight == nullptr) {
    const bool has_other_codes = module.find("weight_packed") != nullptr || module.find("") != nullptr;
    return scale != nullptr && !has_other_codes;
  }
  if (weight->dtype == DType::kF8E4M3) return true;
  return weight->dtype == DType::kU8 && scale != nullptr &&
         (scale->dtype == DType::kF8E4M3 || scale->dtype == DType::kU8);
}

ModuleReading ModelOptDialect::read(const Module& module, const ModuleShape& shape,
                                    const QuantizationConfig& quantization) const {
  const QuantizationScheme* scheme = quantization.find_scheme(module.role, module.name);
  check_algorithm(module, scheme);
  const TensorRecord& weight = require(module, "weight");
  Stored stored = weight.dtype == DType::kU8 ? read_nvfp4(module, shape) : read_fp8(module, shape);
  if (!quantization.is_present()) {
    fail_contradiction(module, stored.text,
                       "neither config.json nor hf_quant_config.json says that the model is quantised");
  }
  if (scheme != nullptr) check_agreement(module, shape, stored, *scheme);
  ModuleReading reading{.matrices = std::move(stored.matrices)};
  const TensorRecord* input_scale = module.find("input_scale");
  if (input_scale != nullptr) reading.skipped.emplace_back(input_scale, kActivationScaleUnused);
  add_notes(module, scheme, input_scale != nullptr, reading);
  return reading;
}

}  // namespace beryl::checkpoint
