#include "engine/prefix_cache.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace beryl::engine {
namespace {

// A hash of a growing beginning of a text.
class RollingKey {
 public:
  explicit RollingKey(std::string_view salt) : key_(std::hash<std::string_view>{}(salt)) {}

  void add(int32_t token) {
    key_ = (key_ ^ static_cast<uint32_t>(token)) * 0x9E3779B97F4A7C15U;
    key_ ^= key_ >> 29;
  }
  uint64_t value() const { return key_; }

 private:
  uint64_t key_;
};

uint64_t key_of(std::string_view salt, std::span<const int32_t> tokens) {
  RollingKey key(salt);
  for (const int32_t token : tokens) key.add(token);
  return key.value();
}

}  // namespace

void PrefixCache::Holds::add(std::span<const int32_t> of_snapshot) {
  for (const int32_t page : of_snapshot) {
    if (++counts[static_cast<size_t>(page)] == 1) ++pages;
  }
}

void PrefixCache::Holds::remove(std::span<const int32_t> of_snapshot) {
  for (const int32_t page : of_snapshot) {
    if (--counts[static_cast<size_t>(page)] == 0) --pages;
  }
}

PrefixCache::PrefixCache(PagePools& pools, int64_t sliding_pages_max)
    : pools_(pools), sliding_pages_max_(sliding_pages_max) {
  sliding_holds_.counts.resize(static_cast<size_t>(pools.sliding.total()));
  full_holds_.counts.resize(static_cast<size_t>(pools.full.total()));
}

std::unique_ptr<Snapshot> PrefixCache::find(std::string_view salt, std::span<const int32_t> tokens,
                                            int64_t length_max) {
  // One pass over the text gives the keys of all lengths that there are.
  std::vector<std::pair<int64_t, uint64_t>> candidates;
  RollingKey key(salt);
  int64_t length = 0;
  for (const auto& [candidate, count] : lengths_) {
    if (candidate > std::min(length_max, static_cast<int64_t>(tokens.size()))) break;
    for (; length < candidate; ++length) key.add(tokens[static_cast<size_t>(length)]);
    candidates.emplace_back(candidate, key.value());
  }
  for (auto candidate = candidates.rbegin(); candidate != candidates.rend(); ++candidate) {
    const auto beginning = tokens.first(static_cast<size_t>(candidate->first));
    const auto entry = find_exact(candidate->second, salt, beginning);
    if (entry == entries_.end()) continue;
    entries_.splice(entries_.begin(), entries_, entry);
    return entry->snapshot->clone();
  }
  return nullptr;
}

void PrefixCache::insert(std::string_view salt, std::span<const int32_t> tokens,
                         std::unique_ptr<Snapshot> snapshot) {
  BERYL_CHECK(snapshot->length() == static_cast<int64_t>(tokens.size()));
  const uint64_t key = key_of(salt, tokens);
  if (const auto known = find_exact(key, salt, tokens); known != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, known);
    return;
  }
  sliding_holds_.add(snapshot->sliding());
  full_holds_.add(snapshot->full());
  ++lengths_[snapshot->length()];
  entries_.push_front({key, std::string(salt), {tokens.begin(), tokens.end()}, std::move(snapshot)});
  by_key_.emplace(key, entries_.begin());
  while (sliding_holds_.pages > sliding_pages_max_) evict_one();
}

bool PrefixCache::evict_one() {
  if (entries_.empty()) return false;
  ++evictions_;
  forget(std::prev(entries_.end()));
  return true;
}

int64_t PrefixCache::reclaimable(const Holds& holds, const PagePool& pool) {
  int64_t pages = 0;
  for (size_t page = 0; page < holds.counts.size(); ++page) {
    const int32_t held = holds.counts[page];
    if (held > 0 && held == pool.references(static_cast<int32_t>(page))) ++pages;
  }
  return pages;
}

PrefixCache::Entries::iterator PrefixCache::find_exact(uint64_t key, std::string_view salt,
                                                       std::span<const int32_t> tokens) {
  const auto [begin, end] = by_key_.equal_range(key);
  for (auto candidate = begin; candidate != end; ++candidate) {
    const auto entry = candidate->second;
    if (entry->salt == salt && std::ranges::equal(entry->tokens, tokens)) return entry;
  }
  return entries_.end();
}

void PrefixCache::forget(Entries::iterator entry) {
  const auto [begin, end] = by_key_.equal_range(entry->key);
  by_key_.erase(std::find_if(begin, end, [&](const auto& pair) { return pair.second == entry; }));
  sliding_holds_.remove(entry->snapshot->sliding());
  full_holds_.remove(entry->snapshot->full());
  if (--lengths_[entry->snapshot->length()] == 0) lengths_.erase(entry->snapshot->length());
  entries_.erase(entry);
}

}  // namespace beryl::engine
