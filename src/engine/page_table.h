// The pages of one text, and what can be kept of them for others.
//
// A page has one writer: the table that took it. Whoever else holds it only reads, and only the positions
// that were written when it was shared. So a table that begins within a shared page continues in a copy.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "engine/pages.h"

namespace beryl::engine {

// Holds the pages that a text of `length` tokens left behind, as far as what follows needs them; lets go of
// them at its end.
class Snapshot {
 public:
  // The entries of a table's pages: full ones from the first, sliding ones from `first_sliding_page`.
  Snapshot(PagePools& pools, int64_t length, std::vector<int32_t> full, int64_t first_sliding_page,
           std::vector<int32_t> sliding);
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  std::unique_ptr<Snapshot> clone() const;

  int64_t length() const { return length_; }
  const std::vector<int32_t>& full() const { return full_; }
  int64_t first_sliding_page() const { return first_sliding_page_; }
  const std::vector<int32_t>& sliding() const { return sliding_; }

 private:
  PagePools& pools_;
  int64_t length_;
  std::vector<int32_t> full_;
  int64_t first_sliding_page_;
  std::vector<int32_t> sliding_;
};

// A page that must be copied before the next pass.
struct PageCopy {
  backend::LayerKind kind;
  int32_t from;
  int32_t to;
};

class PageTable {
 public:
  explicit PageTable(PagePools& pools) : pools_(pools) {}
  ~PageTable() { clear(); }
  PageTable(const PageTable&) = delete;
  PageTable& operator=(const PageTable&) = delete;

  // Positions [0, length()) have had pages.
  int64_t length() const { return length_; }

  struct Need {
    int64_t sliding = 0;
    int64_t full = 0;
  };
  // Free pages that extend_to(length) takes; of a snapshot's continuation when `from` is given.
  Need need_for(int64_t length) const;
  Need need_for(int64_t length, const Snapshot& from) const;

  // Takes pages for all positions below `length`. There must be as many as need_for() says.
  void extend_to(int64_t length);
  // Lets go of sliding pages that no row at `position` or after it sees.
  void recycle_before(int64_t position);
  // Lets go of everything.
  void clear();

  // Begins an empty table with what a snapshot holds; adds to `copies` the pages that must be copied, and
  // takes as many free ones.
  void resume(const Snapshot& snapshot, std::vector<PageCopy>& copies);
  // Of the first `length` tokens, whose sliding pages must not have been recycled.
  std::unique_ptr<Snapshot> snapshot(int64_t length) const;

  backend::PageTables tables() const { return {.sliding = sliding_, .full = full_}; }

 private:
  PagePools& pools_;
  int64_t length_ = 0;
  int64_t first_sliding_page_ = 0;  // entries before it are -1
  std::vector<int32_t> sliding_;
  std::vector<int32_t> full_;
};

}  // namespace beryl::engine
