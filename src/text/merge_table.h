// The merges of a byte-pair vocabulary: which neighbours join, in which order of precedence, into what.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/hash.h"

namespace beryl::text {

inline constexpr size_t kMergeCountMax = size_t{1} << 22;  // Google's file has 514,906

// Token ids; `product` is the token whose text is that of `left` followed by that of `right`.
struct Merge {
  int32_t left = 0;
  int32_t right = 0;
  int32_t product = 0;
};

// Immutable once built; any number of threads may use it at once. Eight bytes a slot: most look-ups in
// encoding find nothing, and they should miss in a small table.
class MergeTable {
 public:
  // The rank of a merge is its place in `merges`; a lower one goes first. Ids are below kVocabularySizeMax.
  // Errors: kInvalidInput when a pair is there twice or there are more than kMergeCountMax.
  explicit MergeTable(std::span<const Merge> merges);

  static constexpr uint32_t kNoMerge = UINT32_MAX;

  // The rank of the merge of two neighbours, or kNoMerge.
  uint32_t find_rank(int32_t left, int32_t right) const {
    const uint64_t pair = join(left, right);
    const size_t mask = slots_.size() - 1;
    size_t index = hash_word(pair) & mask;
    for (size_t step = 0; step <= displacement_max_; ++step) {
      const uint64_t slot = slots_[index];
      if (slot >> kRankBits == pair) return static_cast<uint32_t>(slot & kRankMask);
      if (slot == kEmpty) return kNoMerge;
      index = (index + 1) & mask;
    }
    return kNoMerge;
  }

  // The token that the merge of this rank makes.
  int32_t product(uint32_t rank) const { return products_[rank]; }

  size_t size() const { return products_.size(); }

 private:
  // A slot is left (20 bits), right (20 bits), rank (24 bits). No rank has all bits set, so no merge is
  // kEmpty.
  static constexpr int kIdBits = 20;
  static constexpr int kRankBits = 24;
  static constexpr uint64_t kRankMask = (uint64_t{1} << kRankBits) - 1;
  static constexpr uint64_t kEmpty = UINT64_MAX;

  static uint64_t join(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << kIdBits | static_cast<uint64_t>(right);
  }
  void insert(uint64_t pair, uint32_t rank);

  std::vector<uint64_t> slots_;    // a power of two, at most half full
  size_t displacement_max_ = 0;    // no merge is farther than this from the slot of its hash
  std::vector<int32_t> products_;  // by rank
};

}  // namespace beryl::text
