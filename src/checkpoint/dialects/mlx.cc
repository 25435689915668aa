#include "checkpoint/dialects/mlx.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "base/checked_math.h"
#include "checkpoint/dialects/integer_words.h"
#include "checkpoint/dialects/module_reading.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using formats::Format;
using nlohmann::json;

constexpr std::array<std::string_view, 1> kMethods = {"mlx"};
constexpr std::string_view kAffine = "affine";
constexpr int64_t kWordBits = 32;

std::optional<Format> format_of(int64_t bits) {
  switch (bits) {
    case 4:
      return Format::kAffine4;
    case 5:
      return Format::kAffine5;
    case 6:
      return Format::kAffine6;
    case 8:
      return Format::kAffine8;
    default:
      return std::nullopt;
  }
}

QuantizationScheme read_scheme(const ConfigFields& fields, const QuantizationScheme& base) {
  QuantizationScheme scheme = read_integer_scheme(fields, base);
  scheme.format = fields.find_string("mode").value_or(scheme.format);
  return scheme;
}

// The shape of a tensor of the module: in front stand the experts of stacked ones.
std::vector<int64_t> dims(const ModuleShape& shape, int64_t last) {
  if (shape.experts > 0) return {shape.experts, shape.rows, last};
  return {shape.rows, last};
}

// The last dimension of a tensor whose others are the module's; 0 for another shape, and for one that is
// longer than a row.
int64_t last_dim(const TensorRecord& tensor, const ModuleShape& shape) {
  if (tensor.shape.empty()) return 0;
  const int64_t last = tensor.shape.back();
  return tensor.shape == dims(shape, last) && last <= shape.cols ? last : 0;
}

// Bits and group size follow from the shapes, so a configuration that says otherwise is not this file's.
void check_config(const Module& module, const ModuleShape& shape, const QuantizationScheme& scheme) {
  const int64_t words = last_dim(*module.find("weight"), shape);
  if (words > 0 && words * kWordBits % shape.cols == 0 && words * kWordBits / shape.cols != scheme.bits) {
    fail_contradiction(module, fmt::format("integers of {} bits", words * kWordBits / shape.cols),
                       fmt::format("config.json: quantization says {} bits", scheme.bits));
  }
  const int64_t groups = last_dim(*module.find("scales"), shape);
  if (groups > 0 && shape.cols % groups == 0 && shape.cols / groups != scheme.group_size) {
    fail_contradiction(module, fmt::format("groups of {} inputs", shape.cols / groups),
                       fmt::format("config.json: quantization says group_size {}", scheme.group_size));
  }
}

formats::TileValues tiles_of(const TensorRecord& tensor, int64_t index, int64_t count, int64_t group) {
  return {.values = part_of(tensor, index, count), .tile_rows = 1, .tile_cols = group};
}

}  // namespace

std::span<const std::string_view> MlxDialect::methods() const {
  return kMethods;
}

void MlxDialect::read_rules(const ConfigFields& section, QuantizationRules& rules) const {
  rules.set_lenient();
  section.integer("bits", 1, 64);
  section.integer("group_size", 1, int64_t{1} << 20);
  const QuantizationScheme base =
      read_scheme(section, {.group = "quantization", .format = std::string(kAffine), .type = "int"});
  const size_t position = rules.add_scheme(base);
  for (const char* class_name : {"Linear", "Embedding"}) {
    rules.add_target(NamePattern(NamePattern::Style::kName, class_name, section.path()), position);
  }
  for (const auto& [key, value] : section.object().items()) {
    if (!value.is_object() && !value.is_boolean()) continue;
    // True is: like the others; false: left alone.
    std::optional<size_t> scheme;
    if (value == true) scheme = position;
    if (value.is_object()) {
      QuantizationScheme changed =
          read_scheme(ConfigFields(value, fmt::format("{}: {}", section.path(), key)), base);
      changed.group = key;
      scheme = rules.add_scheme(std::move(changed));
    }
    rules.add_target(NamePattern(NamePattern::Style::kName, key, section.path()), scheme);
  }
}

bool MlxDialect::reads(const QuantizationScheme& scheme) const {
  return scheme.format == kAffine && format_of(scheme.bits).has_value();
}

bool MlxDialect::recognises(const Module& module) const {
  if (has_integer_words(module)) return false;
  const TensorRecord* weight = module.find("weight");
  return (weight != nullptr && weight->dtype == DType::kU32) || module.find("scales") != nullptr ||
         module.find("biases") != nullptr;
}

ModuleReading MlxDialect::read(const Module& module, const ModuleShape& shape,
                               const QuantizationConfig& quantization) const {
  constexpr std::array<std::string_view, 3> kSuffixes = {"weight", "scales", "biases"};
  ModuleReading reading;
  check_is_matrix(module, shape);
  const QuantizationScheme& scheme = scheme_of_stored(module, quantization, reading);
  if (scheme.format != kAffine)
    fail_unsupported(module, fmt::format("MLX's mode '{}'", scheme.format), kAffine);
  check_no_other_tensors(module, kSuffixes);
  const TensorRecord& weight = require(module, "weight");
  const TensorRecord& scales = require(module, "scales");
  const TensorRecord& biases = require(module, "biases");
  constexpr std::array kWord = {DType::kU32};
  check_dtype(weight, kWord);
  check_config(module, shape, scheme);
  const std::optional<Format> format = format_of(scheme.bits);
  if (!format) {
    fail_unsupported(module, fmt::format("integers of {} bits", scheme.bits), "4, 5, 6 and 8 bits");
  }
  check_shape(weight, dims(shape, ceil_div(shape.cols * scheme.bits, kWordBits)));
  check_scale(scales, dims(shape, ceil_div(shape.cols, scheme.group_size)));
  check_scale(biases, dims(shape, ceil_div(shape.cols, scheme.group_size)));
  const int64_t count = shape.matrix_count();
  for (int64_t i = 0; i < count; ++i) {
    reading.matrices.push_back({.rows = shape.rows,
                                .cols = shape.cols,
                                .format = *format,
                                .codes = part_of(weight, i, count),
                                .scales = tiles_of(scales, i, count, scheme.group_size),
                                .minimums = tiles_of(biases, i, count, scheme.group_size),
                                .may_have_negative_scales = true});
  }
  return reading;
}

}  // namespace beryl::checkpoint
