// Element types as checkpoint files name them.
#pragma once

#include <cstdint>
#include <string_view>

namespace beryl::formats {

enum class DType : uint8_t {
  kBool,
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kU64,
  kI64,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kF16,
  kBf16,
  kF32,
  kF64,
  kC64,
  // Blocks of ggml (GGUF files), which hold scales beside their codes: ggml_blocks.h.
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4K,
  kQ5K,
  kQ6K,
};

// Bits of one element; 0 for block types.
constexpr int dtype_bits(DType dtype) {
  switch (dtype) {
    case DType::kF4:
      return 4;
    case DType::kF6E2M3:
    case DType::kF6E3M2:
      return 6;
    case DType::kBool:
    case DType::kU8:
    case DType::kI8:
    case DType::kF8E4M3:
    case DType::kF8E5M2:
    case DType::kF8E8M0:
      return 8;
    case DType::kU16:
    case DType::kI16:
    case DType::kF16:
    case DType::kBf16:
      return 16;
    case DType::kU32:
    case DType::kI32:
    case DType::kF32:
      return 32;
    case DType::kU64:
    case DType::kI64:
    case DType::kF64:
    case DType::kC64:
      return 64;
    default:
      return 0;
  }
}

// The smallest run of elements that fills whole bytes.
struct DTypeBlock {
  int64_t elements;
  int64_t bytes;
};

constexpr DTypeBlock dtype_block(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return {32, 18};
    case DType::kQ4_1:
      return {32, 20};
    case DType::kQ5_0:
      return {32, 22};
    case DType::kQ5_1:
      return {32, 24};
    case DType::kQ8_0:
      return {32, 34};
    case DType::kQ4K:
      return {256, 144};
    case DType::kQ5K:
      return {256, 176};
    case DType::kQ6K:
      return {256, 210};
    case DType::kF4:
      return {2, 1};
    case DType::kF6E2M3:
    case DType::kF6E3M2:
      return {4, 3};
    default:
      return {1, dtype_bits(dtype) / 8};
  }
}

// The safetensors spelling: "BF16", "F8_E4M3", ...; for block types ggml's: "Q4_0", ...
constexpr std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "BOOL";
    case DType::kU8:
      return "U8";
    case DType::kI8:
      return "I8";
    case DType::kU16:
      return "U16";
    case DType::kI16:
      return "I16";
    case DType::kU32:
      return "U32";
    case DType::kI32:
      return "I32";
    case DType::kU64:
      return "U64";
    case DType::kI64:
      return "I64";
    case DType::kF4:
      return "F4";
    case DType::kF6E2M3:
      return "F6_E2M3";
    case DType::kF6E3M2:
      return "F6_E3M2";
    case DType::kF8E4M3:
      return "F8_E4M3";
    case DType::kF8E5M2:
      return "F8_E5M2";
    case DType::kF8E8M0:
      return "F8_E8M0";
    case DType::kF16:
      return "F16";
    case DType::kBf16:
      return "BF16";
    case DType::kF32:
      return "F32";
    case DType::kF64:
      return "F64";
    case DType::kC64:
      return "C64";
    case DType::kQ4_0:
      return "Q4_0";
    case DType::kQ4_1:
      return "Q4_1";
    case DType::kQ5_0:
      return "Q5_0";
    case DType::kQ5_1:
      return "Q5_1";
    case DType::kQ8_0:
      return "Q8_0";
    case DType::kQ4K:
      return "Q4_K";
    case DType::kQ5K:
      return "Q5_K";
    case DType::kQ6K:
      return "Q6_K";
  }
  return "?";
}

}  // namespace beryl::formats
