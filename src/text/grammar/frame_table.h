// Stacks as linked frames, each kept once: equal stacks have equal ids, and a copy of a stack is its id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace beryl::text::grammar {

// The empty stack.
inline constexpr uint32_t kNoFrame = 0;

struct Frame {
  uint32_t parent = kNoFrame;
  uint32_t code = 0;   // what it is, for the owner of the table
  uint32_t count = 0;  // of a repetition
  uint32_t depth = 0;  // frames of the stack with this one on top
};

// One thread at a time.
class FrameTable {
 public:
  FrameTable();

  // The stack with such a frame on top of `parent`.
  uint32_t push(uint32_t parent, uint32_t code, uint32_t count);
  const Frame& operator[](uint32_t id) const { return frames_[id]; }
  uint32_t size() const { return static_cast<uint32_t>(frames_.size()); }
  size_t bytes() const { return frames_.size() * sizeof(Frame) + slots_.size() * sizeof(uint32_t); }

 private:
  size_t slot_of(uint32_t parent, uint32_t code, uint32_t count) const;
  void grow();

  std::vector<Frame> frames_;
  std::vector<uint32_t> slots_;  // ids, open addressing; kNoFrame: free. A power of two, at most half full
};

}  // namespace beryl::text::grammar
