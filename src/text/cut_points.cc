#include "text/cut_points.h"

#include "text/utf8.h"

namespace beryl::text {

CutPoints::CutPoints(std::span<const Merge> merges, const Vocabulary& vocabulary)
    : words_((size_t{1} << kBitCountLog2) / 64) {
  for (const Merge& merge : merges) {
    const char32_t before = read_last_utf8(vocabulary.text(merge.left));
    const char32_t after = read_utf8(vocabulary.text(merge.right), 0).value;
    const size_t bit = bit_of(before, after);
    words_[bit / 64] |= uint64_t{1} << bit % 64;
  }
}

}  // namespace beryl::text
