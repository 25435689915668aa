// Byte-pair merging of one stretch of symbols.
#pragma once

#include <cstdint>
#include <vector>

#include "text/merge_table.h"

namespace beryl::text {

// Repeats: of all neighbours that can merge, join those with the lowest rank, the leftmost of equals; until
// none can. Exact, in O(n log n) time and about 40 bytes a symbol. Holds scratch memory, so each thread has
// its own.
class BpeMerger {
 public:
  // `merges` outlives the merger.
  explicit BpeMerger(const MergeTable& merges) : merges_(merges) {}

  // Merges `symbols` in place; it has fewer than 2^32 - 1 elements.
  void merge(std::vector<int32_t>& symbols);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  void merge_short(std::vector<int32_t>& symbols) const;
  void merge_long(std::vector<int32_t>& symbols);
  void start_long(const std::vector<int32_t>& symbols);
  void join_at(uint32_t left, std::vector<int32_t>& symbols);
  void rank_pair(uint32_t left, const std::vector<int32_t>& symbols);

  const MergeTable& merges_;
  // For long stretches: a linked list over the symbols, and the rank of each symbol with its right neighbour.
  std::vector<uint32_t> previous_;
  std::vector<uint32_t> next_;
  std::vector<uint32_t> rank_;
  std::vector<uint64_t> heap_;  // rank << 32 | position of the left symbol; smallest on top
};

}  // namespace beryl::text
