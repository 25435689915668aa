#include "text/bpe_merger.h"

#include <algorithm>
#include <array>
#include <functional>

namespace beryl::text {
namespace {

// Up to here a scan over all ranks beats a heap.
constexpr size_t kShortMax = 48;

}  // namespace

void BpeMerger::merge(std::vector<int32_t>& symbols) {
  if (symbols.size() < 2) return;
  if (symbols.size() <= kShortMax) {
    merge_short(symbols);
  } else {
    merge_long(symbols);
  }
}

void BpeMerger::merge_short(std::vector<int32_t>& symbols) const {
  std::array<uint32_t, kShortMax> ranks;  // ranks[i]: of symbols i and i + 1
  size_t count = symbols.size();
  for (size_t i = 0; i + 1 < count; ++i) ranks[i] = merges_.find_rank(symbols[i], symbols[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (ranks[i] < ranks[best]) best = i;
    }
    if (ranks[best] == MergeTable::kNoMerge) break;
    symbols[best] = merges_.product(ranks[best]);
    --count;
    for (size_t i = best + 1; i < count; ++i) symbols[i] = symbols[i + 1];
    for (size_t i = best + 1; i + 1 < count; ++i) ranks[i] = ranks[i + 1];
    if (best > 0) ranks[best - 1] = merges_.find_rank(symbols[best - 1], symbols[best]);
    if (best + 1 < count) ranks[best] = merges_.find_rank(symbols[best], symbols[best + 1]);
  }
  symbols.resize(count);
}

void BpeMerger::merge_long(std::vector<int32_t>& symbols) {
  start_long(symbols);
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const uint32_t rank = static_cast<uint32_t>(heap_.back() >> 32);
    const uint32_t position = static_cast<uint32_t>(heap_.back());
    heap_.pop_back();
    // An entry is stale once its pair has changed.
    if (rank_[position] == rank) join_at(position, symbols);
  }
  size_t count = 0;
  for (uint32_t position = 0; position != kNone; position = next_[position]) {
    symbols[count++] = symbols[position];
  }
  symbols.resize(count);
}

void BpeMerger::start_long(const std::vector<int32_t>& symbols) {
  const uint32_t count = static_cast<uint32_t>(symbols.size());
  previous_.resize(count);
  next_.resize(count);
  rank_.resize(count);
  heap_.clear();
  for (uint32_t i = 0; i < count; ++i) {
    previous_[i] = i == 0 ? kNone : i - 1;
    next_[i] = i + 1 == count ? kNone : i + 1;
    rank_[i] = next_[i] == kNone ? MergeTable::kNoMerge : merges_.find_rank(symbols[i], symbols[i + 1]);
    if (rank_[i] != MergeTable::kNoMerge) heap_.push_back(uint64_t{rank_[i]} << 32 | i);
  }
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
}

void BpeMerger::join_at(uint32_t left, std::vector<int32_t>& symbols) {
  const uint32_t right = next_[left];
  symbols[left] = merges_.product(rank_[left]);
  next_[left] = next_[right];
  if (next_[left] != kNone) previous_[next_[left]] = left;
  rank_[right] = MergeTable::kNoMerge;
  rank_pair(left, symbols);
  if (previous_[left] != kNone) rank_pair(previous_[left], symbols);
}

// Ranks the pair that begins at `left` anew and queues it.
void BpeMerger::rank_pair(uint32_t left, const std::vector<int32_t>& symbols) {
  const uint32_t right = next_[left];
  rank_[left] = right == kNone ? MergeTable::kNoMerge : merges_.find_rank(symbols[left], symbols[right]);
  if (rank_[left] == MergeTable::kNoMerge) return;
  heap_.push_back(uint64_t{rank_[left]} << 32 | left);
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

}  // namespace beryl::text
