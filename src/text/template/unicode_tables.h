// Tables behind unicode.h; made by tools/make_unicode_tables.py.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace beryl::text {

// The characters first, first + stride, ..., last become themselves plus delta.
struct CaseRange {
  uint32_t first;
  uint32_t last;
  uint32_t stride;
  int32_t delta;
};

// One character that becomes several (UTF-8).
struct CaseExpansion {
  uint32_t code;
  std::string_view text;
};

// Both ascending; ASCII is not in them.
struct CaseTable {
  std::span<const CaseRange> ranges;
  std::span<const CaseExpansion> expansions;
};

struct CodeRange {
  uint32_t first;
  uint32_t last;
};

extern const CaseTable kUpperCase;
extern const CaseTable kLowerCase;
extern const std::span<const CodeRange> kUnprintableCodes;  // ascending

}  // namespace beryl::text
