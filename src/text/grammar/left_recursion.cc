#include "text/grammar/left_recursion.h"

#include <utility>

namespace beryl::text::grammar {
namespace {

enum class Mark : uint8_t { kNew, kOpen, kDone };

// Which states can reach the end of their rule without taking anything. Backwards from the ends; a call joins
// when its callee does, as long as its own state after the return does.
class EmptyWays {
 public:
  explicit EmptyWays(const Automaton& automaton)
      : reaches_end_(automaton.state_count()), uses_(automaton.state_count()) {
    for (StateId state = 0; state < automaton.state_count(); ++state) {
      for (uint32_t i = automaton.edge_begins[state]; i < automaton.edge_begins[state + 1]; ++i) {
        const Edge& edge = automaton.edges[i];
        if (edge.kind == EdgeKind::kEmpty || edge.kind == EdgeKind::kCall)
          uses_[edge.target].push_back({state, i});
        if (edge.kind == EdgeKind::kCall) uses_[edge.argument].push_back({state, i});
        if (edge.kind == EdgeKind::kReturn) add(state);
      }
    }
    while (!work_.empty()) {
      const StateId state = work_.back();
      work_.pop_back();
      for (const Use& use : uses_[state]) {
        if (is_way(automaton.edges[use.edge])) add(use.state);
      }
    }
  }

  bool reaches_end(StateId state) const { return reaches_end_[state]; }

 private:
  // An edge that leads or calls somewhere, and where it starts.
  struct Use {
    StateId state;
    uint32_t edge;
  };

  bool is_way(const Edge& edge) const {
    if (!reaches_end_[edge.target]) return false;
    return edge.kind == EdgeKind::kEmpty || reaches_end_[edge.argument];
  }
  void add(StateId state) {
    if (reaches_end_[state]) return;
    reaches_end_[state] = true;
    work_.push_back(state);
  }

  std::vector<bool> reaches_end_;
  std::vector<std::vector<Use>> uses_;
  std::vector<StateId> work_;
};

}  // namespace

// A depth-first search for a cycle: without calls there is none, since the parts that repeat match no empty
// text.
std::optional<StateId> find_left_recursion(const Automaton& automaton) {
  const EmptyWays empty_ways(automaton);
  std::vector<Mark> marks(automaton.state_count(), Mark::kNew);
  struct Visit {
    StateId state;
    uint32_t next_step;
  };
  std::vector<Visit> path;
  // Each edge has two steps at most: into what it calls, and on to what follows.
  const auto target_of = [&](const Edge& edge, bool second) -> std::optional<StateId> {
    switch (edge.kind) {
      case EdgeKind::kEmpty:
        return second ? std::nullopt : std::optional(edge.target);
      case EdgeKind::kCall:
        if (!second) return edge.argument;
        return empty_ways.reaches_end(edge.argument) ? std::optional(edge.target) : std::nullopt;
      case EdgeKind::kEnterLoop:
        return second ? std::nullopt : std::optional(automaton.loops[edge.argument].body);
      case EdgeKind::kNextLoop: {
        const Loop& loop = automaton.loops[edge.argument];
        return second ? loop.exit : loop.body;
      }
      default:
        return std::nullopt;
    }
  };
  for (StateId root = 0; root < automaton.state_count(); ++root) {
    if (marks[root] != Mark::kNew) continue;
    marks[root] = Mark::kOpen;
    path.push_back({root, 0});
    while (!path.empty()) {
      Visit& visit = path.back();
      const std::span<const Edge> edges = automaton.edges_of(visit.state);
      if (visit.next_step == 2 * edges.size()) {
        marks[visit.state] = Mark::kDone;
        path.pop_back();
        continue;
      }
      const uint32_t step = visit.next_step++;
      const std::optional<StateId> target = target_of(edges[step / 2], step % 2 == 1);
      if (!target || marks[*target] == Mark::kDone) continue;
      if (marks[*target] == Mark::kOpen) {
        // Some rule entry lies on the cycle; the innermost call on the path is one of them.
        StateId entry = *target;
        for (size_t i = path.size(); i-- > 0 && path[i].state != *target;) {
          const Edge& edge = automaton.edges_of(path[i].state)[(path[i].next_step - 1) / 2];
          if (edge.kind == EdgeKind::kCall) entry = edge.argument;
        }
        return entry;
      }
      marks[*target] = Mark::kOpen;
      path.push_back({*target, 0});
    }
  }
  return std::nullopt;
}

}  // namespace beryl::text::grammar
