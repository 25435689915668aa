// What the numbers of a matrix are, from its description alone: no file is read. Packed layouts follow from
// this and from nothing else, so formats that only differ in how a file spells them share one layout.
#pragma once

#include <cstdint>
#include <span>

#include "formats/quant_matrix.h"

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

int code_bits(CodeKind kind);

// The values of all codes, [2^bits], of kinds of at most 8 bits; empty for wider ones.
std::span<const float> code_values(CodeKind kind);

// How a scale or minimum is stored.
enum class ScaleKind : uint8_t { kNone, kF32, kBf16, kF16, kE4m3, kE8m0, kU8, kI8 };

// Bytes of one number; 0 for kNone.
int scale_bytes(ScaleKind kind);

struct Scheme {
  CodeKind codes = CodeKind::kBf16;
  // Numbers that `group` successive inputs of a row share; the last group may be short. 0: there are none.
  int64_t group = 0;
  ScaleKind scale = ScaleKind::kNone;
  bool has_zeros = false;  // integers 0 ... 255
  ScaleKind minimum = ScaleKind::kNone;
  // A second level: factors of the scales and minimums of `outer_group` successive inputs, a multiple of
  // `group`; all inputs of a row when it is `cols`. 0: there are none.
  int64_t outer_group = 0;
  ScaleKind outer = ScaleKind::kNone;
  bool has_outer_minimum = false;

  bool operator==(const Scheme&) const = default;
};

// The members that the format needs must be there. Errors: kUnsupported for 4-bit groups of an odd number of
// inputs, which would begin within a byte.
Scheme scheme_of(const QuantMatrix& matrix);

}  // namespace beryl::formats
