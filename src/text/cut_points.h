// Where a text may be cut before merging without changing the result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "text/merge_table.h"
#include "text/vocabulary.h"

namespace beryl::text {

// A merge works across the border between two characters only if its left part ends with the one and its
// right part begins with the other. Where no merge of the vocabulary does that, nothing ever crosses the
// border and both sides can be merged on their own. So the set of such pairs, one per merge, gives exact cut
// points: in most languages between nearly all words.
//
// The set is a bit per hash value. A collision only loses a cut, never makes a wrong one. Immutable once
// built; any number of threads may use it at once.
class CutPoints {
 public:
  // No part of a merge is a byte token, whose text is not what it stands for.
  CutPoints(std::span<const Merge> merges, const Vocabulary& vocabulary);

  bool may_cut(char32_t before, char32_t after) const {
    const size_t bit = bit_of(before, after);
    return (words_[bit / 64] >> bit % 64 & 1) == 0;
  }

 private:
  // 64 KiB, of which Google's merges set a sixteenth.
  static constexpr int kBitCountLog2 = 19;

  static size_t bit_of(char32_t before, char32_t after) {
    const uint64_t pair = uint64_t{before} << 21 | after;
    return pair * 0x9E3779B97F4A7C15ULL >> (64 - kBitCountLog2);
  }

  std::vector<uint64_t> words_;
};

}  // namespace beryl::text
