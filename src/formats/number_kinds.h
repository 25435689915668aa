// The kinds of numbers that matrices are made of. Nothing else is here, so that files compiled for one
// instruction set can include it.
#pragma once

#include <stdint.h>

namespace beryl::formats {

// What a code stands for.
enum class CodeKind : uint8_t {
  kBf16,
  kF16,
  kF32,
  kE4m3,
  kI8,    // two's complement
  kU8,    // u
  kE2m1,  // +-0, 0.5, 1, 1.5, 2, 3, 4, 6
  kI4,    // u - 8
  kU4,    // u
  kNf4,   // nf4.h
  kI5,    // u - 16
  kU5,    // u
  kI6,    // u - 32
  kU6,    // u
};

// How a scale or minimum is stored.
enum class ScaleKind : uint8_t { kNone, kF32, kBf16, kF16, kE4m3, kE8m0, kU8, kI8 };

}  // namespace beryl::formats
