// A grammar as states with edges over bytes, and what is known about them before anything is generated.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/grammar/grammar.h"

namespace beryl::text::grammar {

using StateId = uint32_t;

// What an edge does to the stack, whose frames are states to return to and counts of open repetitions.
enum class EdgeKind : uint8_t {
  kByte,       // takes a byte in [first, last]
  kToken,      // takes the special token `argument`
  kEmpty,      // takes nothing
  kCall,       // pushes `target`, goes on at `argument`
  kTailCall,   // goes on at `argument`: nothing would be left to do after the return
  kEnterLoop,  // pushes loop `argument` with count 0, goes on at its body
  kNextLoop,   // the body is done once more: goes on at the body, at the exit, or both, as the count allows
  kReturn,     // pops a state and goes on there; with an empty stack the output may end
};

struct Edge {
  EdgeKind kind = EdgeKind::kEmpty;
  uint8_t first = 0;
  uint8_t last = 0;
  StateId target = 0;
  uint32_t argument = 0;
};

// A counted repetition. Its body never matches the empty text, so counts grow only with the output.
struct Loop {
  uint32_t min = 0;
  uint32_t max = 0;  // or kUnlimited
  StateId body = 0;
  StateId exit = 0;
};

// How a state stands to the loop that it begins, when all characters of JSON strings lead around that loop.
struct PlainLoop {
  enum class Kind : uint8_t { kNone, kUncounted, kCounted };
  Kind kind = Kind::kNone;
  uint32_t loop = 0;
};

// Height of a state from which the end of its rule cannot be reached.
inline constexpr uint32_t kDeadHeight = std::numeric_limits<uint32_t>::max();

// Immutable.
struct Automaton {
  std::vector<uint32_t> edge_begins;  // one more than there are states
  std::vector<Edge> edges;
  std::vector<Loop> loops;
  std::vector<PlainLoop> plain_loops;  // of each state
  // Of each state: how many frames the stack must be able to grow by on some way to the end of the rule.
  std::vector<uint32_t> heights;
  std::vector<std::string> tokens;  // spelling of special tokens, what kToken refers to
  // Bytes that no edge tells apart have the same class, 0 to byte_class_count - 1.
  std::array<uint8_t, 256> byte_classes{};
  uint32_t byte_class_count = 0;
  StateId start = 0;

  size_t state_count() const { return heights.size(); }
  std::span<const Edge> edges_of(StateId state) const {
    return std::span(edges).subspan(edge_begins[state], edge_begins[state + 1] - edge_begins[state]);
  }
};

// Errors: kInvalidInput when the budget is used up, a rule refers to itself before anything of it is matched,
// no text at all matches, or even the flattest text needs a stack deeper than the limit.
Automaton build_automaton(const Grammar& grammar);

// Of an automaton that has its states and edges; the steps of build_automaton() that look at it as a whole.
std::vector<uint32_t> find_heights(const Automaton& automaton, Budget& budget);
void mark_tail_calls(Automaton& automaton);
void find_byte_classes(Automaton& automaton);

}  // namespace beryl::text::grammar
