// Parts of element ranges.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "formats/quant_matrix.h"

namespace beryl::formats {

// The range of `count` elements of whole bytes from element `first` on, which must be inside.
inline ElementRange slice(const ElementRange& whole, int64_t first, int64_t count) {
  const auto bytes = static_cast<uint64_t>(dtype_bits(whole.dtype) / 8);
  const ElementRange part{.dtype = whole.dtype,
                          .range = {.file = whole.range.file,
                                    .offset = whole.range.offset + static_cast<uint64_t>(first) * bytes,
                                    .bytes = static_cast<uint64_t>(count) * bytes}};
  BERYL_CHECK(first >= 0 && part.range.offset + part.range.bytes <= whole.range.offset + whole.range.bytes);
  return part;
}

}  // namespace beryl::formats
