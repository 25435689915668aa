// What the numbers of a matrix are, from its description alone: no file is read. Packed layouts follow from
// this and from nothing else, so formats that only differ in how a file spells them share one layout.
#pragma once

#include <cstdint>
#include <span>

#include "formats/number_kinds.h"
#include "formats/quant_matrix.h"

namespace beryl::formats {

int code_bits(CodeKind kind);

// The values of all codes, [2^bits], of kinds of at most 8 bits; empty for wider ones.
std::span<const float> code_values(CodeKind kind);

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
