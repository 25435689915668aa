// Text that knows, byte for byte, who wrote it: the template or the caller (messages, tools, variables).
//
// This is what keeps a user from writing control tokens. Every string operation of the template engine
// carries the origins along; at the end only text of the template may be recognised as a special token.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/template/arena.h"

namespace beryl::text {

enum class Origin : uint8_t {
  kCaller,    // may hold anything; never a control token
  kTemplate,  // trusted to write control tokens
};

// A view of bytes with their origins; the bytes belong to an arena, to the template's source or to the
// caller.
class MarkedText {
 public:
  // Everything up to `end` (and from the end of the run before it) is of one origin.
  struct Run {
    const char* end;
    Origin origin;
  };

  MarkedText() = default;
  MarkedText(std::string_view text, Origin origin)
      : data_(text.data()), size_(text.size()), origin_(origin) {}
  // `runs`: ascending, at least one, the last one ends at or after the end of `text`; they outlive this.
  MarkedText(std::string_view text, const Run* runs, size_t run_count);

  std::string_view text() const { return {data_, size_}; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Bytes [begin, end), which must lie inside.
  MarkedText slice(size_t begin, size_t end) const;

  // Calls `visit(std::string_view piece, Origin origin)` for each stretch of one origin, in order.
  template <typename Visit>
  void for_each_run(Visit&& visit) const {
    if (size_ == 0) return;
    if (run_count_ == 0) {
      visit(text(), origin_);
      return;
    }
    const char* const end = data_ + size_;
    const char* begin = data_;
    for (const Run* run = runs_; begin != end; ++run) {
      const char* const stop = std::min(run->end, end);
      visit(std::string_view(begin, static_cast<size_t>(stop - begin)), run->origin);
      begin = stop;
    }
  }

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
  const Run* runs_ = nullptr;
  uint32_t run_count_ = 0;  // 0: all of one origin
  Origin origin_ = Origin::kCaller;
};

// Puts marked text together. Spends the arena's budget as it grows.
class MarkedTextBuilder {
 public:
  explicit MarkedTextBuilder(Arena& arena, uint64_t bytes_max = UINT64_MAX)
      : arena_(arena), bytes_max_(bytes_max) {}

  // Errors: kResource past `bytes_max` or the arena's budget.
  void append(std::string_view text, Origin origin);
  void append(const MarkedText& text) {
    text.for_each_run([this](std::string_view piece, Origin origin) { append(piece, origin); });
  }

  size_t size() const { return text_.size(); }

  // The text so far, copied into the arena.
  MarkedText finish() const;

  // A stretch of one origin ends at byte `end`.
  struct Stretch {
    size_t end;
    Origin origin;
  };
  const std::string& text() const { return text_; }
  const std::vector<Stretch>& stretches() const { return stretches_; }

 private:
  Arena& arena_;
  uint64_t bytes_max_;
  std::string text_;
  std::vector<Stretch> stretches_;
};

}  // namespace beryl::text
