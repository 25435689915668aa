#include "engine/pages.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace beryl::engine {

PagePool::PagePool(int64_t pages) : references_(static_cast<size_t>(pages), 0), free_(references_.size()) {
  // Low numbers are taken first: pages that were never used cost no memory.
  std::iota(free_.rbegin(), free_.rend(), 0);
}

std::optional<int32_t> PagePool::take() {
  if (free_.empty()) return std::nullopt;
  const int32_t page = free_.back();
  free_.pop_back();
  BERYL_CHECK(references(page) == 0);
  references_[static_cast<size_t>(page)] = 1;
  return page;
}

void PagePool::retain(int32_t page) {
  BERYL_CHECK(references(page) > 0);
  ++references_[static_cast<size_t>(page)];
}

void PagePool::release(int32_t page) {
  BERYL_CHECK(references(page) > 0);
  if (--references_[static_cast<size_t>(page)] == 0) free_.push_back(page);
}

int64_t PagePools::first_visible_page(int64_t position) const {
  return std::max<int64_t>(0, position - window + 1) / tokens_per_page;
}

}  // namespace beryl::engine
