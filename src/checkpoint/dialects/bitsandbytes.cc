#include "checkpoint/dialects/bitsandbytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/json.h"
#include "checkpoint/dialects/module_reading.h"
#include "checkpoint/dialects/stored_scheme.h"
#include "formats/scheme.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using formats::QuantMatrix;

constexpr std::array<std::string_view, 1> kMethods = {"bitsandbytes"};
constexpr std::string_view kNf4 = "nf4";
constexpr std::string_view kInt8 = "LLM.int8";
constexpr std::string_view kStatePrefix = "weight.quant_state.bitsandbytes__";
constexpr std::string_view kNf4State = "weight.quant_state.bitsandbytes__nf4";
// Producers write less than 200.
constexpr uint64_t kStateBytesMax = 4096;
constexpr int64_t kBlockMax = int64_t{1} << 20;
constexpr std::array kU8 = {DType::kU8};
constexpr std::array kF32 = {DType::kF32};

// What weight.quant_state says.
struct QuantState {
  int64_t block = 0;
  int64_t nested_block = 0;  // 0: the scales are plain
  float nested_offset = 0;
};

std::string read_text(const TensorRecord& tensor) {
  check_dtype(tensor, kU8);
  if (tensor.range.bytes > kStateBytesMax) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("tensor '{}' has {} bytes, at most {} are allowed",
                                                      tensor.name, tensor.range.bytes, kStateBytesMax));
  }
  std::string text(tensor.range.bytes, '\0');
  tensor.range.file->read(tensor.range.offset, std::as_writable_bytes(std::span(text)));
  return text;
}

QuantState read_state(const Module& module, const ModuleShape& shape, const TensorRecord& tensor) {
  const nlohmann::json parsed = parse_json(read_text(tensor), tensor.name);
  const ConfigFields fields(parsed, fmt::format("tensor '{}'", tensor.name));
  if (const auto type = fields.find_string("quant_type"); type != kNf4) fields.fail("quant_type", "\"nf4\"");
  const nlohmann::json expected = {shape.rows, shape.cols};
  const nlohmann::json* stored = fields.find("shape");
  if (stored == nullptr || *stored != expected) {
    fields.fail("shape", fmt::format("{}, as config.json calls for", expected.dump()));
  }
  QuantState state = {.block = fields.integer("blocksize", 1, kBlockMax)};
  if (module.find("weight.nested_absmax") == nullptr && !fields.contains("nested_blocksize")) return state;
  if (fields.find_string("nested_dtype").value_or("float32") != "float32") {
    fields.fail("nested_dtype", "\"float32\"");
  }
  state.nested_block = fields.integer("nested_blocksize", 1, kBlockMax);
  constexpr double kOffsetMax = 1e30;
  const auto offset = fields.find_number("nested_offset", -kOffsetMax, kOffsetMax);
  if (!offset) fields.fail("nested_offset", "a number");
  state.nested_offset = static_cast<float>(*offset);
  return state;
}

// The table is written beside every weight; another one would be another format.
void check_table(const TensorRecord& tensor) {
  const std::span<const float> expected = formats::code_values(formats::CodeKind::kNf4);
  check_dtype(tensor, kF32);
  check_shape(tensor, std::array{static_cast<int64_t>(expected.size())});
  std::vector<float> table(expected.size());
  tensor.range.file->read(tensor.range.offset, std::as_writable_bytes(std::span(table)));
  if (std::equal(table.begin(), table.end(), expected.begin())) return;
  throw Error(ErrorCode::kUnsupported, fmt::format("tensor '{}' holds [{}], expected the table of NF4",
                                                   tensor.name, fmt::join(table, ", ")));
}

void read_scales(const Module& module, const ModuleShape& shape, const QuantState& state,
                 QuantMatrix& matrix) {
  const TensorRecord& absmax = require(module, "weight.absmax");
  const int64_t blocks = ceil_div(shape.rows * shape.cols, state.block);
  check_shape(absmax, std::array{blocks});
  matrix.scales = formats::TileValues{
      .values = whole(absmax), .tile_rows = 1, .tile_cols = state.block, .order = formats::TileOrder::kFlat};
  if (state.nested_block == 0) {
    check_dtype(absmax, kF32);
    return;
  }
  check_dtype(absmax, kU8);
  const TensorRecord& map = require(module, "weight.nested_quant_map");
  const TensorRecord& scales = require(module, "weight.nested_absmax");
  check_dtype(map, kF32);
  check_shape(map, std::array{int64_t{256}});
  check_dtype(scales, kF32);
  check_shape(scales, std::array{ceil_div(blocks, state.nested_block)});
  matrix.nested_scales = formats::NestedScales{
      .map = whole(map), .scales = whole(scales), .block = state.nested_block, .offset = state.nested_offset};
}

// Refuses this tool's other formats by name: "fp4", "LLM.int8".
void check_is_nf4(const Module& module) {
  std::string_view stored;
  if (module.find("SCB") != nullptr) stored = kInt8;
  for (const auto& [suffix, record] : module.tensors) {
    if (suffix.starts_with(kStatePrefix) && suffix != kNf4State) {
      stored = std::string_view(suffix).substr(kStatePrefix.size());
    }
  }
  if (!stored.empty()) fail_unsupported(module, fmt::format("bitsandbytes' format '{}'", stored), kNf4);
}

}  // namespace

std::span<const std::string_view> BitsAndBytesDialect::methods() const {
  return kMethods;
}

void BitsAndBytesDialect::read_rules(const ConfigFields& section, QuantizationRules& rules) const {
  rules.set_lenient();
  const bool is_int8 = section.find_bool("load_in_8bit").value_or(false);
  QuantizationScheme scheme = {.group = "bitsandbytes", .type = "float", .bits = 4};
  scheme.format = section.find_string("bnb_4bit_quant_type").value_or("");
  if (is_int8) scheme = {.group = "bitsandbytes", .format = std::string(kInt8), .type = "int", .bits = 8};
  rules.add_target(NamePattern(NamePattern::Style::kName, "Linear", section.path()),
                   rules.add_scheme(std::move(scheme)));
  rules.add_ignores(section, "llm_int8_skip_modules", NamePattern::Style::kSuffix);
}

bool BitsAndBytesDialect::reads(const QuantizationScheme& scheme) const {
  return scheme.format == kNf4 || (scheme.format.empty() && scheme.bits == 4);
}

bool BitsAndBytesDialect::recognises(const Module& module) const {
  if (module.find("SCB") != nullptr) return true;
  return std::any_of(module.tensors.begin(), module.tensors.end(), [](const auto& tensor) {
    const std::string_view suffix = tensor.first;
    return suffix.starts_with(kStatePrefix) || suffix == "weight.absmax" || suffix == "weight.quant_map";
  });
}

ModuleReading BitsAndBytesDialect::read(const Module& module, const ModuleShape& shape,
                                        const QuantizationConfig& quantization) const {
  constexpr std::array<std::string_view, 6> kSuffixes = {
      "weight", "weight.quant_map", "weight.absmax", "weight.nested_quant_map", "weight.nested_absmax",
      kNf4State};
  ModuleReading reading;
  check_is_matrix(module, shape);
  check_is_nf4(module);
  const QuantizationScheme& scheme = scheme_of_stored(module, quantization, reading);
  if (!reads(scheme)) {
    fail_contradiction(module, "NF4", fmt::format("quantization_config says '{}'", scheme.format));
  }
  check_no_other_tensors(module, kSuffixes);
  if (shape.experts > 0) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("'{}' holds all experts in one NF4 tensor, which is not supported", module.name));
  }
  const TensorRecord& weight = require(module, "weight");
  const QuantState state = read_state(module, shape, require(module, kNf4State));
  check_dtype(weight, kU8);
  check_shape(weight, std::array{ceil_div(shape.rows * shape.cols, 2), int64_t{1}});
  check_table(require(module, "weight.quant_map"));
  QuantMatrix matrix{.rows = shape.rows,
                     .cols = shape.cols,
                     .format = formats::Format::kNf4,
                     .codes = whole(weight),
                     .code_order = formats::CodeOrder::kRowsHighFirst};
  read_scales(module, shape, state, matrix);
  if (state.nested_block == 0 && module.find("weight.nested_quant_map") != nullptr) {
    require(module, "weight.nested_absmax");
  }
  reading.matrices.push_back(std::move(matrix));
  return reading;
}

}  // namespace beryl::checkpoint
