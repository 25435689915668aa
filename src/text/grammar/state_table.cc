#include "text/grammar/state_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "text/hash.h"

namespace beryl::text::grammar {
namespace {

constexpr StateId kEnd = std::numeric_limits<StateId>::max();  // a place where the output may end
constexpr uint32_t kLoopCode = 0x8000'0000;                    // frames of loops; others return to their code
constexpr uint64_t kFree = std::numeric_limits<uint64_t>::max();
constexpr size_t kSeenMin = 256;

uint64_t hash_places(std::span<const Place> places) {
  uint64_t hash = places.size();
  for (const Place& place : places) hash = hash_word(hash ^ ((uint64_t{place.state} << 32) | place.stack));
  return hash;
}

[[noreturn]] void fail_ambiguous(std::string_view what, size_t limit) {
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("the grammar is too ambiguous to follow: more than {} {}", limit, what),
              "let alternatives differ as early as possible");
}

}  // namespace

StateTable::StateTable(const Automaton& automaton, size_t token_bytes_max, const GrammarLimits& limits)
    : automaton_(automaton),
      limits_(limits),
      lookahead_(static_cast<uint32_t>(token_bytes_max)),
      takes_something_(automaton.state_count()),
      canonical_(1, kNoFrame),
      positions_(1),
      seen_(kSeenMin, kFree) {
  for (StateId state = 0; state < automaton.state_count(); ++state) {
    for (const Edge& edge : automaton.edges_of(state)) {
      if (edge.kind == EdgeKind::kByte || edge.kind == EdgeKind::kToken) takes_something_[state] = true;
    }
  }
  bytes_ = takes_something_.size() / 8;
  position_index_.emplace(hash_places({}), kDeadPosition);
  enter(automaton.start, kNoFrame);
  start_ = finish();
}

PositionId StateTable::import(const StateTable& other, PositionId position) {
  for (const Place& place : other.positions_[position].places) {
    std::vector<uint32_t> path;  // from the top down
    for (uint32_t id = place.stack; id != kNoFrame; id = other.frames_[id].parent) path.push_back(id);
    uint32_t stack = kNoFrame;
    for (size_t i = path.size(); i-- > 0;) {
      stack = push(stack, other.frames_[path[i]].code, other.frames_[path[i]].count);
    }
    reached_.push_back({place.state, stack});
  }
  return finish();
}

PositionId StateTable::explore(PositionId position, uint8_t byte) {
  // Copied ids only: positions_ may grow meanwhile.
  for (size_t i = 0; i < positions_[position].places.size(); ++i) {
    const Place place = positions_[position].places[i];
    if (place.state == kEnd) continue;
    for (const Edge& edge : automaton_.edges_of(place.state)) {
      if (edge.kind != EdgeKind::kByte || byte < edge.first || byte > edge.last) continue;
      enter(edge.target, place.stack);
    }
  }
  work_ += positions_[position].places.size();
  const PositionId next = finish();
  std::unique_ptr<uint32_t[]>& known = positions_[position].next;
  if (!known) {
    known = std::make_unique<uint32_t[]>(automaton_.byte_class_count);
    std::fill_n(known.get(), automaton_.byte_class_count, kUnknown);
    bytes_ += automaton_.byte_class_count * sizeof(uint32_t);
  }
  return known[automaton_.byte_classes[byte]] = next;
}

PositionId StateTable::step_token(PositionId position, uint32_t token) {
  for (size_t i = 0; i < positions_[position].places.size(); ++i) {
    const Place place = positions_[position].places[i];
    if (place.state == kEnd) continue;
    for (const Edge& edge : automaton_.edges_of(place.state)) {
      if (edge.kind == EdgeKind::kToken && edge.argument == token) enter(edge.target, place.stack);
    }
  }
  return finish();
}

// Keeps a place once, and only if an end can be reached from it on the stack that is left.
void StateTable::enter(StateId state, uint32_t stack) {
  const uint32_t height = automaton_.heights[state];
  if (height == kDeadHeight || height + frames_[stack].depth > limits_.stack_depth_max) return;
  const uint64_t key = (uint64_t{state} << 32) | stack;
  const size_t mask = seen_.size() - 1;
  for (size_t slot = hash_word(key) & mask;; slot = (slot + 1) & mask) {
    if (seen_[slot] == key) return;
    if (seen_[slot] == kFree) {
      seen_[slot] = key;
      break;
    }
  }
  frontier_.push_back({state, stack});
  if (frontier_.size() > 4 * limits_.places_max) {
    frontier_.clear();
    reached_.clear();
    seen_.assign(kSeenMin, kFree);
    fail_ambiguous("places at once", limits_.places_max);
  }
  if (2 * frontier_.size() > seen_.size()) {
    seen_.assign(2 * seen_.size(), kFree);
    for (const Place& place : frontier_) insert_seen((uint64_t{place.state} << 32) | place.stack);
  }
}

void StateTable::insert_seen(uint64_t key) {
  const size_t mask = seen_.size() - 1;
  size_t slot = hash_word(key) & mask;
  while (seen_[slot] != kFree) slot = (slot + 1) & mask;
  seen_[slot] = key;
}

void StateTable::follow(const Edge& edge, uint32_t stack) {
  switch (edge.kind) {
    case EdgeKind::kByte:
    case EdgeKind::kToken:
      return;
    case EdgeKind::kEmpty:
      return enter(edge.target, stack);
    case EdgeKind::kCall: {
      // The way after the return must be open too.
      const uint32_t height = automaton_.heights[edge.target];
      if (height == kDeadHeight || height + frames_[stack].depth > limits_.stack_depth_max) return;
      return enter(edge.argument, push(stack, edge.target, 0));
    }
    case EdgeKind::kTailCall:
      return enter(edge.argument, stack);
    case EdgeKind::kEnterLoop:
      return enter(automaton_.loops[edge.argument].body, push(stack, kLoopCode | edge.argument, 0));
    case EdgeKind::kNextLoop:
      return follow_loop(automaton_.loops[edge.argument], edge.argument, stack);
    case EdgeKind::kReturn:
      if (stack == kNoFrame) {
        reached_.push_back({kEnd, kNoFrame});
      } else {
        enter(frames_[stack].code, frames_[stack].parent);
      }
      return;
  }
}

void StateTable::follow_loop(const Loop& loop, uint32_t loop_id, uint32_t stack) {
  const Frame frame = frames_[stack];
  // Without an upper bound counting ends where it stops to matter.
  const uint32_t count = loop.max == kUnlimited ? std::min(frame.count + 1, loop.min) : frame.count + 1;
  if (count < loop.max) enter(loop.body, push(frame.parent, kLoopCode | loop_id, count));
  if (count >= loop.min) enter(loop.exit, frame.parent);
}

uint32_t StateTable::push(uint32_t stack, uint32_t code, uint32_t count) {
  const uint32_t id = frames_.push(stack, code, count);
  if (id == canonical_.size()) {
    uint32_t canonical_count = 0;
    if ((code & kLoopCode) != 0) {
      const Loop& loop = automaton_.loops[code & ~kLoopCode];
      const uint32_t missing = count >= loop.min ? 0 : std::min(loop.min - count, lookahead_ + 1);
      const uint32_t left =
          loop.max == kUnlimited ? lookahead_ + 1 : std::min(loop.max - count, lookahead_ + 1);
      canonical_count = missing * (lookahead_ + 2) + left;
    }
    canonical_.push_back(canonical_frames_.push(canonical_[stack], code, canonical_count));
  }
  return id;
}

PositionId StateTable::finish() {
  for (size_t i = 0; i < frontier_.size(); ++i) {
    const Place place = frontier_[i];
    if (takes_something_[place.state]) reached_.push_back(place);
    for (const Edge& edge : automaton_.edges_of(place.state)) follow(edge, place.stack);
  }
  work_ += frontier_.size() + 1;
  if (seen_.size() > kSeenMin || !frontier_.empty()) seen_.assign(kSeenMin, kFree);
  frontier_.clear();
  std::vector<Place> places = std::move(reached_);
  reached_.clear();
  if (places.size() > limits_.places_max) fail_ambiguous("places at once", limits_.places_max);
  if (work_ > limits_.step_work_max) fail_ambiguous("places for one token", limits_.step_work_max);
  if (bytes() > bytes_before_ + limits_.step_bytes_max) {
    fail_ambiguous("bytes for one token", limits_.step_bytes_max);
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  const uint64_t hash = hash_places(places);
  const auto [begin, end] = position_index_.equal_range(hash);
  for (auto found = begin; found != end; ++found) {
    if (positions_[found->second].places == places) return found->second;
  }
  const auto id = static_cast<PositionId>(positions_.size());
  bytes_ += sizeof(Position) + places.size() * sizeof(Place) + 48;
  positions_.push_back({.places = std::move(places), .next = nullptr});
  position_index_.emplace(hash, id);
  return id;
}

bool StateTable::may_end(PositionId position) const {
  const std::vector<Place>& places = positions_[position].places;
  return !places.empty() && places.back().state == kEnd;
}

bool StateTable::must_end(PositionId position) const {
  const std::vector<Place>& places = positions_[position].places;
  return !places.empty() && places.front().state == kEnd;
}

std::vector<uint32_t> StateTable::next_tokens(PositionId position) const {
  std::vector<uint32_t> tokens;
  for (const Place& place : positions_[position].places) {
    if (place.state == kEnd) continue;
    for (const Edge& edge : automaton_.edges_of(place.state)) {
      if (edge.kind == EdgeKind::kToken && automaton_.heights[edge.target] != kDeadHeight) {
        tokens.push_back(edge.argument);
      }
    }
  }
  return tokens;
}

uint32_t StateTable::plain_text_length(PositionId position) const {
  uint32_t length = 0;
  for (const Place& place : positions_[position].places) {
    if (place.state == kEnd) continue;
    const PlainLoop& loop = automaton_.plain_loops[place.state];
    if (loop.kind == PlainLoop::Kind::kUncounted) return kUnlimited;
    if (loop.kind != PlainLoop::Kind::kCounted) continue;
    const uint32_t max = automaton_.loops[loop.loop].max;
    length = std::max(length, max == kUnlimited ? max : max - frames_[place.stack].count);
  }
  return length;
}

uint32_t StateTable::mask_class(PositionId position) {
  if (positions_[position].mask_class != kUnknown) return positions_[position].mask_class;
  std::vector<Place> places = positions_[position].places;
  for (Place& place : places) place.stack = canonical_[place.stack];
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  const uint64_t hash = hash_places(places);
  uint32_t id = kUnknown;
  const auto [begin, end] = class_index_.equal_range(hash);
  for (auto found = begin; found != end; ++found) {
    if (classes_[found->second] == places) id = found->second;
  }
  if (id == kUnknown) {
    id = static_cast<uint32_t>(classes_.size());
    bytes_ += places.size() * sizeof(Place) + 64;
    classes_.push_back(std::move(places));
    class_index_.emplace(hash, id);
  }
  return positions_[position].mask_class = id;
}

}  // namespace beryl::text::grammar
