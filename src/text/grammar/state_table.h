// Runs an automaton, remembering where each byte leads: the second time it is a look-up.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/frame_table.h"
#include "text/grammar/token_trie.h"

namespace beryl::text::grammar {

// One of the places in the grammar at which the output may be: a state that takes something, and the stack.
struct Place {
  StateId state = 0;
  uint32_t stack = kNoFrame;

  auto operator<=>(const Place&) const = default;
};

// All places together are a position: what the future depends on. Positions are numbered as they turn up.
// Every place lies on a way to an end of the output within the limit of the stack; ways that would need more
// are not there.
using PositionId = uint32_t;
inline constexpr PositionId kDeadPosition = 0;

// Grows with use; the owner starts a new one when bytes() is too many. One thread at a time.
class StateTable {
 public:
  // `automaton` outlives the table. `token_bytes_max` is as far as mask_class() looks ahead.
  StateTable(const Automaton& automaton, size_t token_bytes_max, const GrammarLimits& limits);

  PositionId start() const { return start_; }
  // The same position of another table for the same automaton.
  PositionId import(const StateTable& other, PositionId position);

  // Positions after a byte or a special token (an index to Automaton::tokens); kDeadPosition when it is not
  // allowed. Errors: kInvalidInput when the grammar is so ambiguous that a limit is reached.
  PositionId step(PositionId position, uint8_t byte) {
    const uint32_t* const next = positions_[position].next.get();
    const uint32_t known = next == nullptr ? kUnknown : next[automaton_.byte_classes[byte]];
    return known == kUnknown ? explore(position, byte) : known;
  }
  PositionId step_token(PositionId position, uint32_t token);
  // Whether the output may end here.
  bool may_end(PositionId position) const;
  // Whether nothing else can come: then it should.
  bool must_end(PositionId position) const;
  // The special tokens that may come next.
  std::vector<uint32_t> next_tokens(PositionId position) const;
  // Any text of up to so many characters that JSON strings write as they are may come next; 0 says nothing.
  uint32_t plain_text_length(PositionId position) const;

  // Positions with the same class allow the same tokens. Counts that no token can bring to a bound are alike.
  uint32_t mask_class(PositionId position);
  std::shared_ptr<const MaskWords>& mask_of_class(uint32_t mask_class) { return masks_[mask_class]; }
  void add_bytes(size_t count) { bytes_ += count; }

  // The limits of work count from here.
  void begin_operation() {
    work_ = 0;
    bytes_before_ = bytes();
  }
  size_t bytes() const { return bytes_ + frames_.bytes() + canonical_frames_.bytes(); }

 private:
  struct Position {
    std::vector<Place> places;         // ascending
    std::unique_ptr<uint32_t[]> next;  // by class of byte
    uint32_t mask_class = kUnknown;
  };
  // Finds a vector of places that was seen before.
  using PlacesIndex = std::unordered_multimap<uint64_t, uint32_t>;
  static constexpr uint32_t kUnknown = std::numeric_limits<uint32_t>::max();

  PositionId explore(PositionId position, uint8_t byte);
  // `frontier_` holds what has just been reached; follows edges that take nothing.
  void enter(StateId state, uint32_t stack);
  void follow(const Edge& edge, uint32_t stack);
  void follow_loop(const Loop& loop, uint32_t loop_id, uint32_t stack);
  PositionId finish();
  uint32_t push(uint32_t stack, uint32_t code, uint32_t count);
  void insert_seen(uint64_t key);

  const Automaton& automaton_;
  GrammarLimits limits_;
  uint32_t lookahead_;
  std::vector<bool> takes_something_;  // of states
  FrameTable frames_;
  FrameTable canonical_frames_;
  std::vector<uint32_t> canonical_;  // of each frame, its canonical one
  std::vector<Position> positions_;
  PlacesIndex position_index_;
  std::vector<std::vector<Place>> classes_;
  PlacesIndex class_index_;
  std::unordered_map<uint32_t, std::shared_ptr<const MaskWords>> masks_;
  PositionId start_ = kDeadPosition;
  size_t bytes_ = 0;
  size_t work_ = 0;
  size_t bytes_before_ = 0;
  // Of the exploration under way.
  std::vector<Place> frontier_;
  std::vector<Place> reached_;
  std::vector<uint64_t> seen_;  // open addressing; kFree: free
};

}  // namespace beryl::text::grammar
