// Parts of element ranges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

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

// `count` elements from element `first` of each of the `lines` lines that fill a range.
struct StridedLines {
  int64_t lines;
  int64_t first;
  int64_t count;
};

// Reads them one after the other, `out` being all of them; whole lines at once.
inline void read_lines(const ElementRange& whole, const StridedLines& lines, std::span<std::byte> out) {
  const int64_t line_length = whole.count() / lines.lines;
  if (lines.count == line_length) {
    whole.range.file->read(slice(whole, 0, lines.lines * lines.count).range.offset, out);
    return;
  }
  const size_t bytes = out.size() / static_cast<size_t>(lines.lines);
  for (int64_t line = 0; line < lines.lines; ++line) {
    const ElementRange part = slice(whole, line * line_length + lines.first, lines.count);
    part.range.file->read(part.range.offset, out.subspan(static_cast<size_t>(line) * bytes, bytes));
  }
}

}  // namespace beryl::formats
