// Pages of the cache by number: who holds how many.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace beryl::engine {

// Reference-counted page numbers 0, 1, ... Knows nothing of what is in them.
class PagePool {
 public:
  explicit PagePool(int64_t pages);

  int64_t total() const { return static_cast<int64_t>(references_.size()); }
  int64_t free() const { return static_cast<int64_t>(free_.size()); }
  int64_t used() const { return total() - free(); }
  int32_t references(int32_t page) const { return references_[static_cast<size_t>(page)]; }

  // A free page, held once; nothing when there is none.
  std::optional<int32_t> take();
  // Holds a page that is in use once more.
  void retain(int32_t page);
  // Gives one hold back; the page is free with the last.
  void release(int32_t page);

 private:
  std::vector<int32_t> references_;  // 0: free
  std::vector<int32_t> free_;        // the last one is taken next
};

// Both kinds of pages of one cache. Tables of sliding layers need only what a window reaches.
struct PagePools {
  PagePools(int64_t tokens_per_page, int64_t window, int64_t sliding_pages, int64_t full_pages)
      : tokens_per_page(tokens_per_page), window(window), sliding(sliding_pages), full(full_pages) {}

  // The first page of a sliding table that a row at `position`, or any after it, can see.
  int64_t first_visible_page(int64_t position) const;
  // The number of pages that positions below `length` lie in.
  int64_t pages_for(int64_t length) const { return (length + tokens_per_page - 1) / tokens_per_page; }

  const int64_t tokens_per_page;
  const int64_t window;  // keys that a row of a sliding layer sees, itself included; at least 1
  PagePool sliding;
  PagePool full;
};

}  // namespace beryl::engine
