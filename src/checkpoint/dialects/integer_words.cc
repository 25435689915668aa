#include "checkpoint/dialects/integer_words.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "base/checked_math.h"
#include "base/error.h"
#include "checkpoint/dialects/module_reading.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using formats::QuantMatrix;

constexpr int64_t kWordBits = 32;
constexpr int64_t kRowsOfOutputWord = 8;
constexpr std::array<DType, 1> kWord = {DType::kI32};

struct WordTensors {
  const TensorRecord& codes;
  const TensorRecord& zeros;
  const TensorRecord& scales;
};

WordTensors require_words(const Module& module, const ModuleShape& shape) {
  check_is_matrix(module, shape);
  if (shape.experts > 0) {
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("'{}' holds integers of all experts in one tensor ({}); one module for each expert "
                    "is supported",
                    module.name, module.suffix_list()));
  }
  const WordTensors tensors = {.codes = require(module, "qweight"),
                               .zeros = require(module, "qzeros"),
                               .scales = require(module, "scales")};
  check_dtype(tensors.codes, kWord);
  check_dtype(tensors.zeros, kWord);
  return tensors;
}

// Tells the two layouts apart: a word of one row or of eight.
bool is_output_words(const WordTensors& tensors) {
  if (tensors.codes.shape.size() != 2 || tensors.scales.shape.size() != 2) return false;
  const int64_t rows = tensors.scales.shape[1];
  return rows > 0 && rows % kRowsOfOutputWord == 0 && tensors.codes.shape[1] == rows / kRowsOfOutputWord;
}

void check_bits(const Module& module, const QuantizationScheme& scheme, int64_t stored) {
  if (stored == scheme.bits) return;
  fail_contradiction(module, fmt::format("integers of {} bits", stored),
                     fmt::format("quantization_config says {} bits", scheme.bits));
}

// The bits of a code by the number of words down a tensor of input words; 0 when it fits none.
int64_t bits_of_input_words(const TensorRecord& codes, const ModuleShape& shape) {
  if (codes.shape.size() != 2 || codes.shape[1] != shape.rows) return 0;
  const int64_t words = codes.shape[0];
  if (words < 1 || words > shape.cols || words * kWordBits % shape.cols != 0) return 0;
  return words * kWordBits / shape.cols;
}

// Checks the scales against the group size of the configuration and returns it.
int64_t read_scales(const Module& module, const ModuleShape& shape, const QuantizationScheme& scheme,
                    const TensorRecord& scales, QuantMatrix& matrix) {
  const int64_t group = scheme.group_size == 0 ? shape.cols : scheme.group_size;
  const int64_t groups = ceil_div(shape.cols, group);
  if (scales.shape.size() == 2 && scales.shape[1] == shape.rows && scales.shape[0] != groups) {
    fail_contradiction(module, fmt::format("{} groups of {} inputs", scales.shape[0], shape.cols),
                       fmt::format("quantization_config says group_size {}, which makes {}", group, groups));
  }
  check_scale(scales, std::array{groups, shape.rows});
  matrix.scales = formats::TileValues{
      .values = whole(scales), .tile_rows = 1, .tile_cols = group, .order = formats::TileOrder::kTransposed};
  matrix.may_have_negative_scales = true;
  return group;
}

void check_divisible(const Module& module, std::string_view what, int64_t count, int64_t divisor) {
  if (count % divisor == 0) return;
  throw Error(ErrorCode::kUnsupported,
              fmt::format("'{}' has {} {}, expected a multiple of {}", module.name, count, what, divisor));
}

}  // namespace

QuantizationScheme read_integer_scheme(const ConfigFields& fields, QuantizationScheme base) {
  constexpr int64_t kGroupMax = int64_t{1} << 20;
  QuantizationScheme scheme = std::move(base);
  scheme.bits = fields.find_integer("bits", 1, 64).value_or(scheme.bits);
  if (const auto group = fields.find_integer("group_size", -1, kGroupMax)) {
    if (*group == 0) fields.fail("group_size", "-1 or a number of inputs");
    scheme.group_size = *group == -1 ? 0 : *group;
    scheme.strategy = *group == -1 ? "channel" : "group";
  }
  scheme.is_symmetric = fields.find_bool("sym").value_or(scheme.is_symmetric);
  scheme.has_group_index = fields.find_bool("desc_act").value_or(scheme.has_group_index);
  return scheme;
}

bool has_integer_words(const Module& module) {
  return module.find("qweight") != nullptr || module.find("qzeros") != nullptr;
}

void read_input_words(const Module& module, const ModuleShape& shape, const QuantizationScheme& scheme,
                      int64_t zero_added, ModuleReading& reading) {
  constexpr std::array<std::string_view, 4> kSuffixes = {"qweight", "qzeros", "scales", "g_idx"};
  check_no_other_tensors(module, kSuffixes);
  const WordTensors tensors = require_words(module, shape);
  if (is_output_words(tensors)) {
    fail_contradiction(module, "AWQ's words of eight outputs",
                       fmt::format("quantization_config says '{}', whose words hold inputs", scheme.format));
  }
  if (const int64_t stored = bits_of_input_words(tensors.codes, shape); stored != 0) {
    check_bits(module, scheme, stored);
  }
  const int64_t bits = scheme.bits;
  if (bits != 4 && bits != 8) {
    fail_unsupported(module, fmt::format("integers of {} bits", bits), "4 and 8 bits");
  }
  const int64_t codes_a_word = kWordBits / bits;
  check_divisible(module, "inputs", shape.cols, codes_a_word);
  check_divisible(module, "outputs", shape.rows, codes_a_word);
  check_shape(tensors.codes, std::array{shape.cols / codes_a_word, shape.rows});
  QuantMatrix matrix{.rows = shape.rows,
                     .cols = shape.cols,
                     .format = bits == 4 ? formats::Format::kInt4 : formats::Format::kInt8,
                     .codes = whole(tensors.codes),
                     .code_order = formats::CodeOrder::kInputWords};
  const int64_t group = read_scales(module, shape, scheme, tensors.scales, matrix);
  check_shape(tensors.zeros, std::array{ceil_div(shape.cols, group), shape.rows / codes_a_word});
  matrix.zeros = formats::ZeroPoints{.words = whole(tensors.zeros),
                                     .order = formats::ZeroPoints::Order::kAlongOutputs,
                                     .group_size = group,
                                     .added = zero_added};
  if (scheme.has_group_index) require(module, "g_idx");
  if (const TensorRecord* index = module.find("g_idx")) {
    check_dtype(*index, kWord);
    check_shape(*index, std::array{shape.cols});
    matrix.group_index = whole(*index);
  }
  reading.matrices.push_back(std::move(matrix));
}

void read_output_words(const Module& module, const ModuleShape& shape, const QuantizationScheme& scheme,
                       ModuleReading& reading) {
  constexpr std::array<std::string_view, 3> kSuffixes = {"qweight", "qzeros", "scales"};
  const WordTensors tensors = require_words(module, shape);
  if (!is_output_words(tensors) && bits_of_input_words(tensors.codes, shape) != 0) {
    fail_contradiction(module, "GPTQ's words of successive inputs",
                       fmt::format("quantization_config says '{}', whose words hold outputs", scheme.format));
  }
  check_no_other_tensors(module, kSuffixes);
  if (scheme.bits != 4) {
    fail_unsupported(module, fmt::format("integers of {} bits", scheme.bits), "4 bits");
  }
  check_divisible(module, "outputs", shape.rows, kRowsOfOutputWord);
  const int64_t words = shape.rows / kRowsOfOutputWord;
  check_shape(tensors.codes, std::array{shape.cols, words});
  QuantMatrix matrix{.rows = shape.rows,
                     .cols = shape.cols,
                     .format = formats::Format::kInt4,
                     .codes = whole(tensors.codes),
                     .code_order = formats::CodeOrder::kOutputWords};
  const int64_t group = read_scales(module, shape, scheme, tensors.scales, matrix);
  check_shape(tensors.zeros, std::array{ceil_div(shape.cols, group), words});
  matrix.zeros = formats::ZeroPoints{.words = whole(tensors.zeros),
                                     .order = formats::ZeroPoints::Order::kAwqInterleaved,
                                     .group_size = group};
  reading.matrices.push_back(std::move(matrix));
}

}  // namespace beryl::checkpoint
