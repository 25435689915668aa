#include "text/grammar/frame_table.h"

#include <utility>

#include "text/hash.h"

namespace beryl::text::grammar {

FrameTable::FrameTable() : frames_(1), slots_(256, kNoFrame) {}

size_t FrameTable::slot_of(uint32_t parent, uint32_t code, uint32_t count) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash_word(hash_word((uint64_t{parent} << 32) | code) ^ count) & mask;
  while (slots_[slot] != kNoFrame) {
    const Frame& frame = frames_[slots_[slot]];
    if (frame.parent == parent && frame.code == code && frame.count == count) break;
    slot = (slot + 1) & mask;
  }
  return slot;
}

uint32_t FrameTable::push(uint32_t parent, uint32_t code, uint32_t count) {
  size_t slot = slot_of(parent, code, count);
  if (slots_[slot] != kNoFrame) return slots_[slot];
  if (2 * frames_.size() >= slots_.size()) {
    grow();
    slot = slot_of(parent, code, count);
  }
  slots_[slot] = size();
  frames_.push_back({parent, code, count, frames_[parent].depth + 1});
  return slots_[slot];
}

void FrameTable::grow() {
  slots_.assign(slots_.size() * 2, kNoFrame);
  for (uint32_t id = 1; id < size(); ++id) {
    slots_[slot_of(frames_[id].parent, frames_[id].code, frames_[id].count)] = id;
  }
}

}  // namespace beryl::text::grammar
