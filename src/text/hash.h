// The fixed hash functions of the tokenizer's tables. Fixed, so that loading takes the same time every time;
// the tables themselves bound what keys made to collide can cost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace beryl::text {

// A table that has to put a key farther than this from the slot of its hash refuses it. In tables at most
// half full, a million random keys stay below 100.
inline constexpr size_t kDisplacementLimit = 512;

// All bits of the result are usable.
inline uint64_t hash_word(uint64_t word) {
  word *= 0x9E3779B97F4A7C15ULL;
  word ^= word >> 32;
  word *= 0xD6E8FEB86659FD93ULL;
  return word ^ word >> 32;
}

inline uint64_t hash_text(std::string_view text) {
  uint64_t hash = text.size();
  while (text.size() >= sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    hash = hash_word(hash ^ word);
    text.remove_prefix(sizeof word);
  }
  uint64_t rest = 0;
  if (!text.empty()) std::memcpy(&rest, text.data(), text.size());
  return hash_word(hash ^ rest);
}

}  // namespace beryl::text
