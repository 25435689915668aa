#include "engine/page_table.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace beryl::engine {
namespace {

using backend::LayerKind;

int32_t take_page(PagePool& pool) {
  const std::optional<int32_t> page = pool.take();
  BERYL_CHECK(page.has_value());  // the caller made sure of it
  return *page;
}

bool ends_within_page(const PagePools& pools, int64_t length) {
  return length % pools.tokens_per_page != 0;
}

}  // namespace

Snapshot::Snapshot(PagePools& pools, int64_t length, std::vector<int32_t> full, int64_t first_sliding_page,
                   std::vector<int32_t> sliding)
    : pools_(pools),
      length_(length),
      full_(std::move(full)),
      first_sliding_page_(first_sliding_page),
      sliding_(std::move(sliding)) {
  for (const int32_t page : full_) pools_.full.retain(page);
  for (const int32_t page : sliding_) pools_.sliding.retain(page);
}

Snapshot::~Snapshot() {
  for (const int32_t page : full_) pools_.full.release(page);
  for (const int32_t page : sliding_) pools_.sliding.release(page);
}

std::unique_ptr<Snapshot> Snapshot::clone() const {
  return std::make_unique<Snapshot>(pools_, length_, full_, first_sliding_page_, sliding_);
}

PageTable::Need PageTable::need_for(int64_t length) const {
  const int64_t pages = pools_.pages_for(length);
  return {.sliding = std::max<int64_t>(0, pages - static_cast<int64_t>(sliding_.size())),
          .full = std::max<int64_t>(0, pages - static_cast<int64_t>(full_.size()))};
}

PageTable::Need PageTable::need_for(int64_t length, const Snapshot& from) const {
  const int64_t shared = pools_.pages_for(from.length());
  const int64_t copied = ends_within_page(pools_, from.length()) ? 1 : 0;
  const int64_t pages = std::max<int64_t>(0, pools_.pages_for(length) - shared) + copied;
  return {.sliding = pages, .full = pages};
}

void PageTable::extend_to(int64_t length) {
  const auto pages = static_cast<size_t>(pools_.pages_for(length));
  while (sliding_.size() < pages) sliding_.push_back(take_page(pools_.sliding));
  while (full_.size() < pages) full_.push_back(take_page(pools_.full));
  length_ = std::max(length_, length);
}

void PageTable::recycle_before(int64_t position) {
  const int64_t first = pools_.first_visible_page(position);
  const auto end = std::min(first, static_cast<int64_t>(sliding_.size()));
  for (; first_sliding_page_ < end; ++first_sliding_page_) {
    int32_t& page = sliding_[static_cast<size_t>(first_sliding_page_)];
    pools_.sliding.release(page);
    page = -1;
  }
}

void PageTable::clear() {
  for (size_t page = static_cast<size_t>(first_sliding_page_); page < sliding_.size(); ++page) {
    pools_.sliding.release(sliding_[page]);
  }
  for (const int32_t page : full_) pools_.full.release(page);
  sliding_.clear();
  full_.clear();
  first_sliding_page_ = 0;
  length_ = 0;
}

void PageTable::resume(const Snapshot& snapshot, std::vector<PageCopy>& copies) {
  BERYL_CHECK(full_.empty() && sliding_.empty());
  length_ = snapshot.length();
  first_sliding_page_ = snapshot.first_sliding_page();
  full_ = snapshot.full();
  sliding_.assign(static_cast<size_t>(first_sliding_page_), -1);
  sliding_.insert(sliding_.end(), snapshot.sliding().begin(), snapshot.sliding().end());
  if (ends_within_page(pools_, length_)) {
    const int32_t full = take_page(pools_.full);
    const int32_t sliding = take_page(pools_.sliding);
    copies.push_back({LayerKind::kFull, std::exchange(full_.back(), full), full});
    copies.push_back({LayerKind::kSliding, std::exchange(sliding_.back(), sliding), sliding});
  }
  const size_t own = ends_within_page(pools_, length_) ? 1 : 0;
  for (size_t i = 0; i + own < full_.size(); ++i) pools_.full.retain(full_[i]);
  for (auto i = static_cast<size_t>(first_sliding_page_); i + own < sliding_.size(); ++i) {
    pools_.sliding.retain(sliding_[i]);
  }
}

std::unique_ptr<Snapshot> PageTable::snapshot(int64_t length) const {
  const int64_t pages = pools_.pages_for(length);
  const int64_t first = std::min(pools_.first_visible_page(length), pages);
  BERYL_CHECK(length <= length_ && first >= first_sliding_page_);
  return std::make_unique<Snapshot>(pools_, length,
                                    std::vector<int32_t>(full_.begin(), full_.begin() + pages), first,
                                    std::vector<int32_t>(sliding_.begin() + first, sliding_.begin() + pages));
}

}  // namespace beryl::engine
