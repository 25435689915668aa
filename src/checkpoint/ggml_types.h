// The numbers by which GGUF files name the types of tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "formats/dtype.h"

namespace beryl::checkpoint {

struct GgmlType {
  uint32_t number = 0;
  std::string_view name;
  // Nothing for types that Beryl does not read.
  std::optional<formats::DType> dtype;
};

// Null for a number that ggml does not use.
const GgmlType* find_ggml_type(uint32_t number);

// Bytes of a tensor in a GGUF file, whose rows are whole blocks; nothing when the last dimension is no
// multiple of the block, or a product of dimensions does not fit in 63 bits, or the bytes not in 64.
std::optional<uint64_t> ggml_tensor_bytes(formats::DType dtype, std::span<const int64_t> shape);

}  // namespace beryl::checkpoint
