#include "checkpoint/dialects/compressed_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/checked_math.h"
#include "base/error.h"
#include "checkpoint/dialects/module_reading.h"
#include "formats/plain.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using formats::Format;
using formats::QuantMatrix;
using nlohmann::json;

constexpr std::array<std::string_view, 1> kMethods = {"compressed-tensors"};
constexpr int64_t kMxGroup = 32;
constexpr int64_t kNvGroup = 16;

// Parameters of all experts have "packed" where modules have "weight_packed".
bool is_fused(const Module& module) {
  return module.role.part == Part::kFusedExpertsGateUp || module.role.part == Part::kFusedExpertsDown;
}

const TensorRecord* find_weight_part(const Module& module, std::string_view suffix) {
  if (!is_fused(module)) return module.find(suffix);
  if (suffix == "weight") return module.find("");
  return module.find(suffix.substr(suffix.find('_') + 1));
}

const TensorRecord& require_weight_part(const Module& module, std::string_view suffix) {
  const TensorRecord* tensor = find_weight_part(module, suffix);
  if (tensor != nullptr) return *tensor;
  return require(module, is_fused(module) ? suffix.substr(suffix.find('_') + 1) : suffix);
}

// Throws unless every tensor has one of the suffixes that a way of storing has.
void check_known(const Module& module, std::initializer_list<std::string_view> suffixes) {
  for (const auto& [suffix, record] : module.tensors) {
    const bool is_known = std::any_of(suffixes.begin(), suffixes.end(), [&](std::string_view known) {
      return find_weight_part(module, known) == record;
    });
    if (!is_known) fail_unknown(module, *record);
  }
}

// The shape of a tensor of the module: in front stand the experts of fused parameters.
std::vector<int64_t> dims(const ModuleShape& shape, std::initializer_list<int64_t> matrix) {
  std::vector<int64_t> result;
  if (shape.experts > 0) result.push_back(shape.experts);
  result.insert(result.end(), matrix);
  return result;
}

// What the tensors of one module turned out to be.
struct Stored {
  std::string_view text;  // for messages
  std::string_view type;
  int64_t bits = 0;
  std::string_view strategy;
  int64_t group_size = 0;
  int64_t block_rows = 0;
  int64_t block_cols = 0;
  bool is_symmetric = true;
};

// `scheme` is what the configuration gives the module.
void check_config(const Module& module, const ModuleShape& shape, const Stored& stored,
                  const QuantizationScheme& scheme) {
  const auto fail = [&](std::string_view field, const auto& found) {
    fail_contradiction(module, stored.text,
                       fmt::format("quantization_config group '{}' has {} {}", scheme.group, field, found));
  };
  if (scheme.type != stored.type) fail("type", scheme.type);
  if (scheme.bits != stored.bits) fail("num_bits", scheme.bits);
  // One row, or one group a row, is spelt alike in two strategies.
  const bool is_one_row = shape.rows == 1 && scheme.strategy == "tensor";
  const bool is_one_group =
      scheme.strategy == "group" && scheme.group_size >= shape.cols && stored.strategy == "channel";
  if (scheme.strategy != stored.strategy && !is_one_row && !is_one_group) fail("strategy", scheme.strategy);
  if (stored.group_size != 0 && scheme.group_size != 0 && scheme.group_size != stored.group_size) {
    fail("group_size", scheme.group_size);
  }
  if (stored.block_rows != 0 &&
      (scheme.block_rows != stored.block_rows || scheme.block_cols != stored.block_cols)) {
    fail("block_structure", fmt::format("{}x{}", scheme.block_rows, scheme.block_cols));
  }
  if (scheme.is_symmetric != stored.is_symmetric) fail("symmetric", scheme.is_symmetric);
}

// Float scales of a matrix: per row, per tensor, per block or per group of the size that the scheme says.
formats::TileValues float_scales(const ModuleShape& shape, const TensorRecord& scale,
                                 const QuantizationScheme* scheme, Stored& stored) {
  constexpr DType kFloats[] = {DType::kBf16, DType::kF16, DType::kF32};
  check_dtype(scale, kFloats);
  formats::TileValues tiles{.values = whole(scale), .tile_rows = 1, .tile_cols = shape.cols};
  std::span<const int64_t> s = scale.shape;
  if (shape.experts > 0) {
    if (s.empty() || s.front() != shape.experts) check_shape(scale, dims(shape, {shape.rows, 1}));
    s = s.subspan(1);
  }
  const bool is_column = s.size() == 1 || (s.size() == 2 && s[1] == 1);
  const bool has_blocks = scheme != nullptr && scheme->strategy == "block" && scheme->block_rows > 0;
  const bool has_groups = scheme != nullptr && scheme->strategy == "group" && scheme->group_size >= 1 &&
                          scheme->group_size < shape.cols;
  if (is_column && s[0] == shape.rows && !has_groups) {
    stored.strategy = "channel";
    return tiles;
  }
  if (has_blocks) {
    stored.strategy = "block";
    stored.block_rows = tiles.tile_rows = scheme->block_rows;
    stored.block_cols = tiles.tile_cols = scheme->block_cols;
    check_shape(scale,
                dims(shape, {ceil_div(shape.rows, tiles.tile_rows), ceil_div(shape.cols, tiles.tile_cols)}));
    return tiles;
  }
  if (s.empty() || (is_column && s[0] == 1)) {
    stored.strategy = "tensor";
    tiles.tile_rows = shape.rows;
    return tiles;
  }
  if (scheme == nullptr || scheme->strategy != "group" || scheme->group_size < 1) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("scale '{}' has shape {}, expected [{}] or [{},1] (per row), [] or [1] (per tensor)",
                    scale.name, shape_text(scale.shape), shape.rows, shape.rows),
        "config.json does not belong to these weights; take the one that was published with them");
  }
  stored.strategy = "group";
  stored.group_size = tiles.tile_cols = scheme->group_size;
  check_shape(scale, dims(shape, {shape.rows, ceil_div(shape.cols, tiles.tile_cols)}));
  return tiles;
}

// The scales of MX and NVFP4 formats, one for each `group` inputs.
formats::TileValues group_scales(const ModuleShape& shape, const TensorRecord& scale, int64_t group) {
  check_shape(scale, dims(shape, {shape.rows, ceil_div(shape.cols, group)}));
  return {.values = whole(scale), .tile_rows = 1, .tile_cols = group};
}

// weight F8_E4M3 or I8: FP8, MXFP8, int8.
QuantMatrix read_whole_codes(const Module& module, const ModuleShape& shape, const QuantizationScheme* scheme,
                             Stored& stored) {
  const TensorRecord& weight = require_weight_part(module, "weight");
  const TensorRecord& scale = require_weight_part(module, "weight_scale");
  check_known(module, {"weight", "weight_scale", "input_scale"});
  check_is_matrix(module, shape);
  check_weight_shape(weight, shape);
  QuantMatrix matrix{.rows = shape.rows, .cols = shape.cols, .codes = whole(weight)};
  if (weight.dtype == DType::kI8) {
    stored = {.text = "int8", .type = "int", .bits = 8};
    matrix.format = Format::kInt8;
    matrix.scales = float_scales(shape, scale, scheme, stored);
  } else if (scale.dtype == DType::kU8 || scale.dtype == DType::kF8E8M0) {
    stored = {.text = "MXFP8", .type = "float", .bits = 8, .strategy = "group", .group_size = kMxGroup};
    matrix.format = Format::kMxFp8;
    matrix.scales = group_scales(shape, scale, kMxGroup);
  } else {
    stored = {.text = "FP8", .type = "float", .bits = 8};
    matrix.format = Format::kFp8E4m3;
    matrix.scales = float_scales(shape, scale, scheme, stored);
  }
  return matrix;
}

// weight_packed U8: NVFP4, MXFP4.
QuantMatrix read_fp4(const Module& module, const ModuleShape& shape, const TensorRecord& packed,
                     Stored& stored) {
  const TensorRecord& scale = require_weight_part(module, "weight_scale");
  check_known(module, {"weight_packed", "weight_scale", "weight_global_scale", "input_global_scale"});
  check_is_matrix(module, shape);
  check_shape(packed, dims(shape, {shape.rows, ceil_div(shape.cols, 2)}));
  QuantMatrix matrix{.rows = shape.rows, .cols = shape.cols, .codes = whole(packed)};
  if (scale.dtype == DType::kU8 || scale.dtype == DType::kF8E8M0) {
    stored = {.text = "MXFP4", .type = "float", .bits = 4, .strategy = "group", .group_size = kMxGroup};
    matrix.format = Format::kMxFp4;
    matrix.scales = group_scales(shape, scale, kMxGroup);
    return matrix;
  }
  stored = {.text = "NVFP4", .type = "float", .bits = 4, .strategy = "tensor_group", .group_size = kNvGroup};
  constexpr DType kE4m3[] = {DType::kF8E4M3};
  check_dtype(scale, kE4m3);
  const TensorRecord& global = require_weight_part(module, "weight_global_scale");
  constexpr int64_t kOne[] = {1};
  constexpr DType kF32[] = {DType::kF32};
  check_shape(global, kOne);
  check_dtype(global, kF32);
  matrix.format = Format::kNvFp4;
  matrix.scales = group_scales(shape, scale, kNvGroup);
  matrix.global_scale = whole(global);
  matrix.global_scale_divides = true;
  return matrix;
}

// weight_packed I32: integers of 4 or 8 bits, offset by half their range.
QuantMatrix read_packed_integers(const Module& module, const ModuleShape& shape, const TensorRecord& packed,
                                 const QuantizationScheme* scheme, Stored& stored) {
  check_known(module, {"weight_packed", "weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx",
                       "input_scale"});
  check_is_matrix(module, shape);
  const int64_t bits = scheme == nullptr ? 4 : scheme->bits;
  if (bits != 4 && bits != 8) {
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("'{}' holds packed integers of {} bits; 4 and 8 are supported", module.name, bits));
  }
  stored = {.text = "packed integers", .type = "int", .bits = bits};
  check_shape(packed, dims(shape, {shape.rows, ceil_div(shape.cols * bits, 32)}));
  QuantMatrix matrix{.rows = shape.rows, .cols = shape.cols, .codes = whole(packed)};
  matrix.format = bits == 8 ? Format::kInt8 : Format::kInt4;
  const TensorRecord& scale = require_weight_part(module, "weight_scale");
  matrix.scales = float_scales(shape, scale, scheme, stored);
  const int64_t groups = ceil_div(shape.cols, matrix.scales->tile_cols);
  if (const TensorRecord* zeros = find_weight_part(module, "weight_zero_point")) {
    constexpr DType kWords[] = {DType::kI32};
    check_dtype(*zeros, kWords);
    check_shape(*zeros, dims(shape, {ceil_div(shape.rows * bits, 32), groups}));
    stored.is_symmetric = false;
    matrix.zeros = formats::ZeroPoints{.words = whole(*zeros), .group_size = matrix.scales->tile_cols};
  } else if (scheme != nullptr && !scheme->is_symmetric) {
    require_weight_part(module, "weight_zero_point");
  }
  if (const TensorRecord* index = find_weight_part(module, "weight_g_idx")) {
    constexpr DType kWords[] = {DType::kI32};
    const int64_t cols[] = {shape.cols};
    check_dtype(*index, kWords);
    check_shape(*index, cols);
    matrix.group_index = whole(*index);
  } else if (scheme != nullptr && scheme->has_group_index) {
    require_weight_part(module, "weight_g_idx");
  }
  return matrix;
}

// The matrix of expert `index` of a fused parameter, from the description of all of them.
QuantMatrix expert_of(QuantMatrix matrix, int64_t index, int64_t count) {
  matrix.codes = part_of(matrix.codes, index, count);
  if (matrix.scales) matrix.scales->values = part_of(matrix.scales->values, index, count);
  if (matrix.zeros) matrix.zeros->words = part_of(matrix.zeros->words, index, count);
  return matrix;
}

void skip_unneeded(const Module& module, const QuantizationScheme& scheme, ModuleReading& reading) {
  bool has_activation_scale = false;
  for (const std::string_view suffix : {"input_scale", "input_global_scale"}) {
    if (const TensorRecord* tensor = module.find(suffix)) {
      reading.skipped.emplace_back(tensor, kActivationScaleUnused);
      has_activation_scale = true;
    }
  }
  if (const TensorRecord* tensor = find_weight_part(module, "weight_shape")) {
    reading.skipped.emplace_back(tensor, kShapeRecord);
  }
  if (scheme.has_static_activations && !has_activation_scale && !is_fused(module)) {
    reading.notes.push_back(kNoActivationScale);
  }
}

// "group_size" and "block_structure", which is [rows, cols] or "ROWSxCOLS".
void read_blocks(const ConfigFields& weights, QuantizationScheme& scheme) {
  const json* block = weights.find("block_structure");
  if (block == nullptr) return;
  std::vector<int64_t> sizes;
  if (block->is_array()) {
    for (const json& size : *block) {
      if (size.is_number_integer()) sizes.push_back(size.get<int64_t>());
    }
  } else if (block->is_string() && block->get<std::string>() == "128x128") {
    sizes = {128, 128};
  }
  constexpr int64_t kBlockMax = 1 << 20;
  const auto is_sound = [](int64_t size) { return size >= 1 && size <= kBlockMax; };
  if (sizes.size() != 2 || !std::all_of(sizes.begin(), sizes.end(), is_sound)) {
    weights.fail("block_structure", "two sizes");
  }
  scheme.block_rows = sizes[0];
  scheme.block_cols = sizes[1];
}

bool has_static_scales(const ConfigFields& group) {
  const json* activations = group.find("input_activations");
  if (activations == nullptr || !activations->is_object()) return false;
  const auto dynamic = activations->find("dynamic");
  return dynamic == activations->end() || *dynamic == false || *dynamic == "local";
}

void read_group(const ConfigFields& group, const std::string& name, const std::string& default_format,
                QuantizationRules& rules) {
  const json* weights = group.find("weights");
  if (weights == nullptr) return;  // a group that quantises activations or the cache only
  const ConfigFields fields(*weights, group.path() + ": weights");
  QuantizationScheme scheme;
  scheme.group = name;
  scheme.format = group.find_string("format").value_or(default_format);
  scheme.type = fields.find_string("type").value_or("int");
  scheme.bits = fields.find_integer("num_bits", 1, 64).value_or(8);
  const std::optional<int64_t> group_size = fields.find_integer("group_size", -1, 1 << 20);
  const std::string_view default_strategy =
      !group_size ? "tensor" : (*group_size == -1 ? "channel" : "group");
  scheme.strategy = fields.find_string("strategy").value_or(std::string(default_strategy));
  scheme.group_size = std::max<int64_t>(0, group_size.value_or(0));
  scheme.is_symmetric = fields.find_bool("symmetric").value_or(true);
  const json* order = fields.find("actorder");
  scheme.has_group_index = order != nullptr && (*order == "group" || *order == "dynamic" || *order == true);
  scheme.has_static_activations = has_static_scales(group);
  read_blocks(fields, scheme);
  const size_t position = rules.add_scheme(std::move(scheme));
  const json* targets = group.find("targets");
  if (targets == nullptr) return;
  if (!targets->is_array()) group.fail("targets", "a list of names");
  for (const json& target : *targets) {
    if (!target.is_string()) group.fail("targets", "a list of names");
    rules.add_target(
        NamePattern(NamePattern::Style::kMarked, target.get<std::string>(), group.path() + ": targets"),
        position);
  }
}

}  // namespace

std::span<const std::string_view> CompressedTensorsDialect::methods() const {
  return kMethods;
}

void CompressedTensorsDialect::read_rules(const ConfigFields& section, QuantizationRules& rules) const {
  rules.add_ignores(section, "ignore", NamePattern::Style::kMarked);
  const json* groups = section.find("config_groups");
  if (groups == nullptr) return;
  const std::string format = section.find_string("format").value_or("");
  const ConfigFields all(*groups, section.path() + ": config_groups");
  for (const auto& [name, group] : groups->items()) {
    read_group(ConfigFields(group, fmt::format("{}: {}", all.path(), name)), name, format, rules);
  }
}

bool CompressedTensorsDialect::reads(const QuantizationScheme& scheme) const {
  const std::string_view s = scheme.strategy;
  const bool is_known =
      s == "tensor" || s == "channel" || s == "group" || s == "block" || s == "tensor_group";
  return is_known && (scheme.bits == 8 || scheme.bits == 4);
}

bool CompressedTensorsDialect::recognises(const Module& module) const {
  if (find_weight_part(module, "weight_packed") != nullptr) return true;
  const TensorRecord* weight = find_weight_part(module, "weight");
  const TensorRecord* scale = find_weight_part(module, "weight_scale");
  if (weight == nullptr) return scale != nullptr;
  return weight->dtype == DType::kF8E4M3 || (weight->dtype == DType::kI8 && scale != nullptr) ||
         (is_fused(module) && scale != nullptr && formats::is_plain(weight->dtype));
}

ModuleReading CompressedTensorsDialect::read(const Module& module, const ModuleShape& shape,
                                             const QuantizationConfig& quantization) const {
  const TensorRecord* packed = find_weight_part(module, "weight_packed");
  const TensorRecord* weight = find_weight_part(module, "weight");
  if (weight != nullptr && packed == nullptr && formats::is_plain(weight->dtype)) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("'{}' is stored as {} with scales: llm-compressor's repacked experts "
                            "(repack_moe), which are not supported yet",
                            module.name, formats::dtype_name(weight->dtype)));
  }
  const QuantizationScheme* scheme = quantization.find_scheme(module.role, module.name);
  Stored stored;
  QuantMatrix matrix;
  if (packed == nullptr) {
    matrix = read_whole_codes(module, shape, scheme, stored);
  } else if (packed->dtype == DType::kU8) {
    matrix = read_fp4(module, shape, *packed, stored);
  } else {
    constexpr DType kWords[] = {DType::kI32};
    check_dtype(*packed, kWords);
    matrix = read_packed_integers(module, shape, *packed, scheme, stored);
  }
  if (scheme == nullptr) {
    fail_contradiction(module, stored.text,
                       fmt::format("{} says that it is not quantised",
                                   quantization.is_present() ? "quantization_config" : "config.json"));
  }
  check_config(module, shape, stored, *scheme);
  ModuleReading reading;
  for (int64_t i = 0; i < shape.matrix_count(); ++i) {
    reading.matrices.push_back(expert_of(matrix, i, shape.matrix_count()));
  }
  skip_unneeded(module, *scheme, reading);
  return reading;
}

}  // namespace beryl::checkpoint
