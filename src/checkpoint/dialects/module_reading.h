// What the dialects share: tensors of a module, checked.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

// The reasons why dialects skip tensors.
inline constexpr std::string_view kActivationScaleUnused =
    "scale of quantised activations; activations are not quantised";
inline constexpr std::string_view kShapeRecord = "shape of a packed weight; it agrees with config.json";

// Note for modules whose configuration announces activation scales that are not there.
inline constexpr std::string_view kNoActivationScale =
    "no scale of quantised activations, which the configuration calls for; activations are not quantised, so "
    "nothing is lost";

// The tensor of that suffix. Errors: kInvalidInput, naming the module, what it has and what it lacks.
const TensorRecord& require(const Module& module, std::string_view suffix);

// Errors: kInvalidInput unless the tensor has that shape; the message says what called for it.
void check_shape(const TensorRecord& tensor, std::span<const int64_t> expected);
// Errors: kUnsupported unless the tensor has one of those types.
void check_dtype(const TensorRecord& tensor, std::span<const formats::DType> expected);
// Errors: as the two, and kUnsupported for other types than BF16, F16 and F32.
void check_scale(const TensorRecord& tensor, std::span<const int64_t> expected);

// Checks the shape of a weight tensor: [rows, cols], [experts, rows, cols], or [rows] for a vector.
// Errors: kInvalidInput.
void check_weight_shape(const TensorRecord& tensor, const ModuleShape& shape);

// Errors: kUnsupported for vectors (norms and the like), which no dialect quantises.
void check_is_matrix(const Module& module, const ModuleShape& shape);

// Whether the tensor holds one number: [], [1] or [1,1].
bool is_scalar(const TensorRecord& tensor);

// All elements of a tensor.
formats::ElementRange whole(const TensorRecord& tensor);
// Splits elements, or those of a tensor, into part_count equal contiguous parts; returns part `index`.
formats::ElementRange part_of(const formats::ElementRange& elements, int64_t index, int64_t part_count);
formats::ElementRange part_of(const TensorRecord& tensor, int64_t index, int64_t part_count);

// Throws kInvalidInput unless every tensor of the module has one of the suffixes.
void check_no_other_tensors(const Module& module, std::span<const std::string_view> known_suffixes);

// Throws kInvalidInput: the module has no use for the tensor.
[[noreturn]] void fail_unknown(const Module& module, const TensorRecord& tensor);

// Throws kInvalidInput: the module is stored in one way, the configuration says another.
[[noreturn]] void fail_contradiction(const Module& module, std::string_view stored,
                                     std::string_view configured);

}  // namespace beryl::checkpoint
