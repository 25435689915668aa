// Remembers what beginnings of texts left in the pages, so that a later request that begins the same does not
// compute it again.
//
// What is remembered are snapshots: a text can be continued only where the pages of the sliding window were
// kept, since a window that is computed again would need the window before it. Pages of full layers are
// therefore held exactly as long as a snapshot at or behind them is. Memory is bounded by the number of
// sliding pages; the snapshots that were not used for longest go first.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/page_table.h"
#include "engine/pages.h"

namespace beryl::engine {

class PrefixCache {
 public:
  // Holds at most `sliding_pages_max` sliding pages. Borrows the pools.
  PrefixCache(PagePools& pools, int64_t sliding_pages_max);

  // The longest snapshot of at most `length_max` tokens, under the same salt, whose tokens are those that
  // `tokens` begins with; null when there is none. Tokens are compared, not only their hashes. The caller's
  // holds the pages by itself, whatever becomes of the one in here.
  std::unique_ptr<Snapshot> find(std::string_view salt, std::span<const int32_t> tokens, int64_t length_max);
  // Keeps a snapshot of `tokens`, all of which must have been computed; when there is one of the same tokens,
  // that one stays and counts as used.
  void insert(std::string_view salt, std::span<const int32_t> tokens, std::unique_ptr<Snapshot> snapshot);
  // Forgets the least recently used snapshot. False: there is none.
  bool evict_one();

  // Forgets everything.
  void clear() {
    while (evict_one()) continue;
  }

  int64_t size() const { return static_cast<int64_t>(entries_.size()); }
  // Calls visit(const Snapshot&) for all, most recently used first.
  template <typename Visitor>
  void for_each(Visitor&& visit) const {
    for (const Entry& entry : entries_) visit(*entry.snapshot);
  }
  int64_t sliding_pages() const { return sliding_holds_.pages; }
  int64_t full_pages() const { return full_holds_.pages; }
  // Pages that would be free if everything were forgotten.
  int64_t reclaimable_sliding_pages() const { return reclaimable(sliding_holds_, pools_.sliding); }
  int64_t reclaimable_full_pages() const { return reclaimable(full_holds_, pools_.full); }
  uint64_t evictions() const { return evictions_; }

 private:
  struct Entry {
    uint64_t key;
    std::string salt;
    std::vector<int32_t> tokens;
    std::unique_ptr<Snapshot> snapshot;
  };
  using Entries = std::list<Entry>;  // most recently used first

  // Snapshots that hold a page, by page.
  struct Holds {
    void add(std::span<const int32_t> of_snapshot);
    void remove(std::span<const int32_t> of_snapshot);
    std::vector<int32_t> counts;
    int64_t pages = 0;  // held at least once
  };

  static int64_t reclaimable(const Holds& holds, const PagePool& pool);
  Entries::iterator find_exact(uint64_t key, std::string_view salt, std::span<const int32_t> tokens);
  void forget(Entries::iterator entry);

  PagePools& pools_;
  int64_t sliding_pages_max_;
  Entries entries_;
  std::unordered_multimap<uint64_t, Entries::iterator> by_key_;
  std::map<int64_t, int64_t> lengths_;  // of the entries, with how many there are
  Holds sliding_holds_, full_holds_;
  uint64_t evictions_ = 0;
};

}  // namespace beryl::engine
