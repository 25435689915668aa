#include "text/merge_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/error.h"
#include "text/vocabulary.h"

namespace beryl::text {

MergeTable::MergeTable(std::span<const Merge> merges) {
  static_assert(kVocabularySizeMax <= size_t{1} << kIdBits);
  static_assert(kMergeCountMax < kRankMask);
  if (merges.size() > kMergeCountMax) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{} merges, at most {} are supported", merges.size(), kMergeCountMax));
  }
  const size_t slot_count = std::bit_ceil(std::max<size_t>(merges.size(), 8) * 2);
  slots_.assign(slot_count, kEmpty);
  products_.reserve(merges.size());
  for (const Merge& merge : merges) {
    BERYL_CHECK(merge.left >= 0 && merge.right >= 0);
    insert(join(merge.left, merge.right), static_cast<uint32_t>(products_.size()));
    products_.push_back(merge.product);
  }
}

void MergeTable::insert(uint64_t pair, uint32_t rank) {
  const size_t first = hash_word(pair);
  for (size_t step = 0; step <= kDisplacementLimit; ++step) {
    uint64_t& slot = slots_[(first + step) & (slots_.size() - 1)];
    if (slot == kEmpty) {
      slot = pair << kRankBits | rank;
      displacement_max_ = std::max(displacement_max_, step);
      return;
    }
    if (slot >> kRankBits == pair) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("merges {} and {} join the same pair", slot & kRankMask, rank));
    }
  }
  throw Error(ErrorCode::kInvalidInput, fmt::format("merge {} collides with too many others", rank));
}

}  // namespace beryl::text
