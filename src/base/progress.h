// Progress of long work, reported by whoever does it to whoever shows it.
#pragma once

#include <cstdint>

namespace beryl {

// Receives progress. Implementations must accept calls from several threads.
class Progress {
 public:
  virtual ~Progress() = default;
  // `done` of `total` units (bytes, tokens, ...) are finished. `done` may arrive out of order between
  // threads.
  virtual void update(uint64_t done, uint64_t total) = 0;
};

// Shows nothing.
class NoProgress final : public Progress {
 public:
  void update(uint64_t, uint64_t) override {}
};

}  // namespace beryl
