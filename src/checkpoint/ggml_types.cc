#include "checkpoint/ggml_types.h"

#include <algorithm>
#include <array>

#include "base/checked_math.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;

constexpr std::array kTypes = {
    GgmlType{0, "F32", DType::kF32},       GgmlType{1, "F16", DType::kF16},
    GgmlType{2, "Q4_0", DType::kQ4_0},     GgmlType{3, "Q4_1", DType::kQ4_1},
    GgmlType{6, "Q5_0", DType::kQ5_0},     GgmlType{7, "Q5_1", DType::kQ5_1},
    GgmlType{8, "Q8_0", DType::kQ8_0},     GgmlType{9, "Q8_1", std::nullopt},
    GgmlType{10, "Q2_K", std::nullopt},    GgmlType{11, "Q3_K", std::nullopt},
    GgmlType{12, "Q4_K", DType::kQ4K},     GgmlType{13, "Q5_K", DType::kQ5K},
    GgmlType{14, "Q6_K", DType::kQ6K},     GgmlType{15, "Q8_K", std::nullopt},
    GgmlType{16, "IQ2_XXS", std::nullopt}, GgmlType{17, "IQ2_XS", std::nullopt},
    GgmlType{18, "IQ3_XXS", std::nullopt}, GgmlType{19, "IQ1_S", std::nullopt},
    GgmlType{20, "IQ4_NL", std::nullopt},  GgmlType{21, "IQ3_S", std::nullopt},
    GgmlType{22, "IQ2_S", std::nullopt},   GgmlType{23, "IQ4_XS", std::nullopt},
    GgmlType{24, "I8", std::nullopt},      GgmlType{25, "I16", std::nullopt},
    GgmlType{26, "I32", std::nullopt},     GgmlType{27, "I64", std::nullopt},
    GgmlType{28, "F64", std::nullopt},     GgmlType{29, "IQ1_M", std::nullopt},
    GgmlType{30, "BF16", DType::kBf16},    GgmlType{34, "TQ1_0", std::nullopt},
    GgmlType{35, "TQ2_0", std::nullopt},   GgmlType{39, "MXFP4", std::nullopt},
    GgmlType{40, "NVFP4", std::nullopt},   GgmlType{41, "Q1_0", std::nullopt},
};

}  // namespace

const GgmlType* find_ggml_type(uint32_t number) {
  const auto type = std::ranges::find(kTypes, number, &GgmlType::number);
  return type == kTypes.end() ? nullptr : &*type;
}

std::optional<uint64_t> ggml_tensor_bytes(formats::DType dtype, std::span<const int64_t> shape) {
  const formats::DTypeBlock block = formats::dtype_block(dtype);
  const auto count = element_count(shape);
  const int64_t row = shape.empty() ? 1 : shape.back();
  if (!count || row % block.elements != 0) return std::nullopt;
  return checked_mul(*count / static_cast<uint64_t>(block.elements), static_cast<uint64_t>(block.bytes));
}

}  // namespace beryl::checkpoint
