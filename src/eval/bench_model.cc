#include "eval/bench_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/checked_math.h"
#include "base/error.h"
#include "checkpoint/expected_weights.h"

namespace beryl::eval {
namespace {

using checkpoint::ModelConfig;
using checkpoint::Part;
using checkpoint::Role;
using formats::DType;
using formats::Format;
using formats::QuantMatrix;

// ---- Shapes ----

// Fields of config.json in which the sizes differ. Zero: as the configuration class has it.
struct Shape {
  std::string_view name;
  int64_t hidden, intermediate, layers, full_every, heads, kv_heads, full_kv_heads;
  int64_t experts = 0, experts_per_token = 0, expert_intermediate = 0;
  int64_t per_layer_input = 0, shared_kv_layers = 0;
  bool is_double_wide = false;
  int64_t window = 1024, head_dim = 256, vocabulary = 262'144;
};

constexpr std::array kShapes = {
    Shape{.name = "26b-a4b",
          .hidden = 2816,
          .intermediate = 2112,
          .layers = 30,
          .full_every = 6,
          .heads = 16,
          .kv_heads = 8,
          .full_kv_heads = 2,
          .experts = 128,
          .experts_per_token = 8,
          .expert_intermediate = 704},
    Shape{.name = "31b",
          .hidden = 5376,
          .intermediate = 21'504,
          .layers = 60,
          .full_every = 6,
          .heads = 32,
          .kv_heads = 16,
          .full_kv_heads = 4},
    Shape{.name = "12b",
          .hidden = 3840,
          .intermediate = 15'360,
          .layers = 48,
          .full_every = 6,
          .heads = 16,
          .kv_heads = 8,
          .full_kv_heads = 1},
    Shape{.name = "e4b",
          .hidden = 2560,
          .intermediate = 10'240,
          .layers = 42,
          .full_every = 6,
          .heads = 8,
          .kv_heads = 2,
          .full_kv_heads = 2,
          .per_layer_input = 256,
          .shared_kv_layers = 18,
          .window = 512},
    Shape{.name = "e2b",
          .hidden = 1536,
          .intermediate = 6144,
          .layers = 35,
          .full_every = 5,
          .heads = 8,
          .kv_heads = 1,
          .full_kv_heads = 1,
          .per_layer_input = 256,
          .shared_kv_layers = 20,
          .is_double_wide = true,
          .window = 512},
    Shape{.name = "tiny",
          .hidden = 256,
          .intermediate = 128,
          .layers = 6,
          .full_every = 3,
          .heads = 4,
          .kv_heads = 2,
          .full_kv_heads = 1,
          .experts = 16,
          .experts_per_token = 4,
          .expert_intermediate = 64,
          .window = 64,
          .head_dim = 32,
          .vocabulary = 512},
};

// Only the larger sizes take the values from the keys' projection.
bool values_are_keys(const Shape& shape) {
  return shape.per_layer_input == 0;
}

ModelConfig config_of(const Shape& shape) {
  nlohmann::json types = nlohmann::json::array();
  for (int64_t i = 1; i <= shape.layers; ++i) {
    types.push_back(i % shape.full_every == 0 ? "full_attention" : "sliding_attention");
  }
  nlohmann::json text = {
      {"model_type", "gemma4_text"},
      {"hidden_size", shape.hidden},
      {"intermediate_size", shape.intermediate},
      {"num_hidden_layers", shape.layers},
      {"layer_types", std::move(types)},
      {"num_attention_heads", shape.heads},
      {"num_key_value_heads", shape.kv_heads},
      {"head_dim", shape.head_dim},
      {"global_head_dim", 2 * shape.head_dim},
      {"attention_k_eq_v", values_are_keys(shape)},
      {"num_kv_shared_layers", shape.shared_kv_layers},
      {"use_double_wide_mlp", shape.is_double_wide},
      {"hidden_size_per_layer_input", shape.per_layer_input},
      {"vocab_size", shape.vocabulary},
      {"vocab_size_per_layer_input", shape.vocabulary},
      {"sliding_window", shape.window},
      {"max_position_embeddings", 262'144},
      {"final_logit_softcapping", 30.0},
  };
  if (values_are_keys(shape)) text["num_global_key_value_heads"] = shape.full_kv_heads;
  if (shape.experts > 0) {
    text["enable_moe_block"] = true;
    text["num_experts"] = shape.experts;
    text["top_k_experts"] = shape.experts_per_token;
    text["moe_intermediate_size"] = shape.expert_intermediate;
  }
  const nlohmann::json config = {{"model_type", "gemma4"}, {"text_config", std::move(text)}};
  return checkpoint::parse_model_config(config, fmt::format("shape {}", shape.name));
}

// ---- Formats ----

// How a format's numbers are published.
struct Numbers {
  std::string_view name;
  Format format;
  DType codes;
  int64_t code_bits;  // 0: a block type, which holds its scales
  int64_t tile_rows = 1;
  int64_t tile_cols = 0;  // 0: whole rows
  DType scales = DType::kBf16;
  std::string_view head = "bf16";
  // For rows that no whole number of blocks fills.
  std::string_view short_rows = {};

  bool has_scales() const {
    return code_bits > 0 && format != Format::kBf16 && format != Format::kF16 && format != Format::kF32;
  }
};

constexpr std::array kFormats = {
    Numbers{"bf16", Format::kBf16, DType::kBf16, 16},
    Numbers{"f16", Format::kF16, DType::kF16, 16},
    Numbers{"f32", Format::kF32, DType::kF32, 32},
    Numbers{"fp8", Format::kFp8E4m3, DType::kF8E4M3, 8},
    Numbers{"fp8-block", Format::kFp8E4m3, DType::kF8E4M3, 8, 128, 128, DType::kF32},
    Numbers{"mxfp8", Format::kMxFp8, DType::kF8E4M3, 8, 1, 32, DType::kU8},
    Numbers{"mxfp4", Format::kMxFp4, DType::kU8, 4, 1, 32, DType::kU8},
    Numbers{"nvfp4", Format::kNvFp4, DType::kU8, 4, 1, 16, DType::kF8E4M3},
    Numbers{"int8", Format::kInt8, DType::kI8, 8},
    Numbers{"int8-g32", Format::kInt8, DType::kI8, 8, 1, 32},
    Numbers{"int8-g128", Format::kInt8, DType::kI8, 8, 1, 128},
    Numbers{"int4-g32", Format::kInt4, DType::kI32, 4, 1, 32},
    Numbers{"int4-g64", Format::kInt4, DType::kI32, 4, 1, 64},
    Numbers{"int4-g128", Format::kInt4, DType::kI32, 4, 1, 128},
    Numbers{"q4_0", Format::kQ4_0, DType::kQ4_0, 0, 1, 0, DType::kF16, "q6_k"},
    Numbers{"q4_1", Format::kQ4_1, DType::kQ4_1, 0, 1, 0, DType::kF16, "q6_k"},
    Numbers{"q5_0", Format::kQ5_0, DType::kQ5_0, 0, 1, 0, DType::kF16, "q6_k"},
    Numbers{"q5_1", Format::kQ5_1, DType::kQ5_1, 0, 1, 0, DType::kF16, "q6_k"},
    Numbers{"q8_0", Format::kQ8_0, DType::kQ8_0, 0, 1, 0, DType::kF16, "q8_0"},
    Numbers{"q4_k", Format::kQ4K, DType::kQ4K, 0, 1, 0, DType::kF16, "q6_k", "q5_0"},
    Numbers{"q5_k", Format::kQ5K, DType::kQ5K, 0, 1, 0, DType::kF16, "q6_k", "q5_1"},
    Numbers{"q6_k", Format::kQ6K, DType::kQ6K, 0, 1, 0, DType::kF16, "q6_k", "q8_0"},
};

template <typename Table>
std::vector<std::string> names_of(const Table& table) {
  std::vector<std::string> names;
  for (const auto& entry : table) names.emplace_back(entry.name);
  return names;
}

template <typename Table>
const auto& find_named(const Table& table, std::string_view what, std::string_view name) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const auto& entry) { return entry.name == name; });
  if (found != table.end()) return *found;
  throw Error(ErrorCode::kInvalidInput, fmt::format("there is no {} '{}'", what, name),
              fmt::format("choose one of {}", fmt::join(names_of(table), ", ")));
}

// How rows of `cols` weights are stored where `wanted` is asked for: rows that its blocks do not divide may
// have a format of their own.
const Numbers& numbers_for_rows(const Numbers& wanted, int64_t cols) {
  const auto fits = [&](const Numbers& numbers) {
    return numbers.code_bits != 0 || cols % formats::dtype_block(numbers.codes).elements == 0;
  };
  if (fits(wanted)) return wanted;
  if (!wanted.short_rows.empty()) {
    const Numbers& instead = find_named(kFormats, "format", wanted.short_rows);
    if (fits(instead)) return instead;
  }
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("rows of {} weights cannot be stored as {}, in blocks of {}", cols, wanted.name,
                          formats::dtype_block(wanted.codes).elements));
}

// Describes a matrix that lies at `offset` of the imagined file.
QuantMatrix make_matrix(const Numbers& asked, int64_t rows, int64_t cols, uint64_t offset) {
  const Numbers& wanted = numbers_for_rows(asked, cols);
  const formats::DTypeBlock block = formats::dtype_block(wanted.codes);
  const int64_t row_bytes =
      wanted.code_bits == 0 ? cols / block.elements * block.bytes : ceil_div(cols * wanted.code_bits, 8);
  const auto bytes = static_cast<uint64_t>(rows * row_bytes);
  QuantMatrix matrix = {.rows = rows,
                        .cols = cols,
                        .format = wanted.format,
                        .codes = {.dtype = wanted.codes, .range = {nullptr, offset, bytes}}};
  if (wanted.has_scales()) {
    const int64_t tile_cols = wanted.tile_cols == 0 ? cols : wanted.tile_cols;
    const int64_t tiles = ceil_div(rows, wanted.tile_rows) * ceil_div(cols, tile_cols);
    const auto scale_bytes = static_cast<uint64_t>(tiles * formats::dtype_bits(wanted.scales) / 8);
    matrix.scales = {.values = {.dtype = wanted.scales, .range = {nullptr, offset + bytes, scale_bytes}},
                     .tile_rows = wanted.tile_rows,
                     .tile_cols = tile_cols};
  }
  if (wanted.format == Format::kNvFp4) {
    matrix.global_scale = {.dtype = DType::kF32, .range = {nullptr, offset + bytes, sizeof(float)}};
  }
  return matrix;
}

// ---- Vectors ----

// A file in memory that holds `count` ones in bf16.
std::unique_ptr<File> make_ones(size_t count) {
  const int descriptor = ::memfd_create("beryl-ones", MFD_CLOEXEC);
  const std::vector<uint16_t> ones(count, 0x3f80);
  const size_t bytes = ones.size() * sizeof(uint16_t);
  if (descriptor < 0 || ::write(descriptor, ones.data(), bytes) != static_cast<ssize_t>(bytes)) {
    const int code = errno;
    if (descriptor >= 0) ::close(descriptor);
    throw Error(ErrorCode::kResource, fmt::format("cannot make a file in memory: {}", std::strerror(code)));
  }
  auto file = std::make_unique<File>(fmt::format("/proc/self/fd/{}", descriptor));
  ::close(descriptor);
  return file;
}

void keep_layers(int64_t layers, ModelConfig& config) {
  const auto count = static_cast<int64_t>(config.layers.size());
  if (layers == 0) return;
  if (layers < 0 || layers > count) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{} layers, expected 1 to {}", layers, count));
  }
  config.layers.resize(static_cast<size_t>(layers));
}

}  // namespace

std::vector<std::string> bench_shape_names() {
  return names_of(kShapes);
}

std::vector<std::string> bench_format_names() {
  return names_of(kFormats);
}

std::string_view default_head_format(std::string_view format) {
  return find_named(kFormats, "format", format).head;
}

MadeUpModel make_up_model(const MadeUpOptions& options) {
  const Numbers& linear = find_named(kFormats, "format", options.format);
  const Numbers& table = find_named(kFormats, "format", options.head.empty() ? linear.head : options.head);
  const Numbers& plain = find_named(kFormats, "format", "bf16");
  MadeUpModel model = {
      .config = config_of(find_named(kShapes, "shape", options.shape)), .weights = {}, .vectors = nullptr};
  keep_layers(options.layers, model.config);

  const auto expected = checkpoint::expected_weights(model.config);
  int64_t longest = 1;
  for (const auto& [role, weight] : expected) {
    if (weight.is_vector) longest = std::max(longest, weight.rows);
  }
  model.vectors = make_ones(static_cast<size_t>(longest));
  std::map<Role, checkpoint::Weight> weights;
  uint64_t offset = 0;
  for (const auto& [role, weight] : expected) {
    if (weight.presence != checkpoint::Presence::kRequired) continue;
    checkpoint::Weight& made = weights[role];
    made.module = checkpoint::role_name(role);
    made.dialect = "made up";
    if (weight.is_vector) {
      made.matrix = make_matrix(plain, weight.rows, 1, 0);
      made.matrix.codes.range.file = model.vectors.get();
      continue;
    }
    const bool is_table =
        role.part == Part::kEmbedding || role.part == Part::kHead || role.part == Part::kPerLayerEmbedding;
    const Numbers& numbers = is_table ? table : role.part == Part::kRouterProjection ? plain : linear;
    made.matrix = make_matrix(numbers, weight.rows, weight.cols, offset);
    offset += made.matrix.published_bytes();
  }
  model.weights = checkpoint::WeightMap(std::move(weights));
  return model;
}

}  // namespace beryl::eval
