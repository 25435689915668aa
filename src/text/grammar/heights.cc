// How much stack a state needs, which calls need none, and which bytes are alike.

#include <algorithm>
#include <deque>
#include <optional>

#include "text/grammar/automaton.h"

namespace beryl::text::grammar {
namespace {

uint32_t one_more(uint32_t height) {
  return height == kDeadHeight ? kDeadHeight : height + 1;
}

// Starts with every state dead and lets what is known travel backwards; heights only fall, so it ends.
class HeightSearch {
 public:
  HeightSearch(const Automaton& automaton, Budget& budget)
      : automaton_(automaton),
        budget_(budget),
        heights_(automaton.state_count(), kDeadHeight),
        users_(automaton.state_count()),
        is_waiting_(automaton.state_count(), true) {
    for (StateId state = 0; state < automaton.state_count(); ++state) {
      work_.push_back(state);
      for (const Edge& edge : automaton.edges_of(state)) add_user(state, edge);
    }
  }

  std::vector<uint32_t> run() {
    // Ends of rules were made after what leads to them about as often as before; either order works.
    while (!work_.empty()) {
      budget_.check_time();
      const StateId state = work_.front();
      work_.pop_front();
      is_waiting_[state] = false;
      uint32_t height = kDeadHeight;
      for (const Edge& edge : automaton_.edges_of(state)) height = std::min(height, height_over(edge));
      if (height >= heights_[state]) continue;
      heights_[state] = height;
      for (const StateId user : users_[state]) {
        if (!is_waiting_[user]) work_.push_back(user);
        is_waiting_[user] = true;
      }
    }
    return std::move(heights_);
  }

 private:
  void add_user(StateId user, const Edge& edge) {
    const auto uses = [&](StateId state) { users_[state].push_back(user); };
    switch (edge.kind) {
      case EdgeKind::kByte:
      case EdgeKind::kToken:
      case EdgeKind::kEmpty:
        return uses(edge.target);
      case EdgeKind::kCall:
        uses(edge.target);
        return uses(edge.argument);
      case EdgeKind::kTailCall:
        return uses(edge.argument);
      case EdgeKind::kEnterLoop:
        return uses(automaton_.loops[edge.argument].body);
      case EdgeKind::kNextLoop:
        return uses(automaton_.loops[edge.argument].exit);
      case EdgeKind::kReturn:
        return;
    }
  }

  uint32_t height_over(const Edge& edge) const {
    switch (edge.kind) {
      case EdgeKind::kByte:
      case EdgeKind::kToken:
      case EdgeKind::kEmpty:
        return heights_[edge.target];
      case EdgeKind::kCall:
        return std::max(one_more(heights_[edge.argument]), heights_[edge.target]);
      case EdgeKind::kTailCall:
        return heights_[edge.argument];
      case EdgeKind::kEnterLoop:
        return one_more(heights_[automaton_.loops[edge.argument].body]);
      case EdgeKind::kNextLoop: {
        // The way back into the body needs what it needed the first time, with the same frames below.
        const uint32_t height = heights_[automaton_.loops[edge.argument].exit];
        return height == kDeadHeight || height == 0 ? height : height - 1;
      }
      case EdgeKind::kReturn:
        return 0;
    }
    return kDeadHeight;
  }

  const Automaton& automaton_;
  Budget& budget_;
  std::vector<uint32_t> heights_;
  std::vector<std::vector<StateId>> users_;
  std::vector<bool> is_waiting_;
  std::deque<StateId> work_;
};

}  // namespace

std::vector<uint32_t> find_heights(const Automaton& automaton, Budget& budget) {
  return HeightSearch(automaton, budget).run();
}

void mark_tail_calls(Automaton& automaton) {
  const auto only_returns = [&](StateId state) {
    const std::span<const Edge> edges = automaton.edges_of(state);
    return edges.size() == 1 && edges[0].kind == EdgeKind::kReturn;
  };
  for (Edge& edge : automaton.edges) {
    if (edge.kind == EdgeKind::kCall && only_returns(edge.target)) edge.kind = EdgeKind::kTailCall;
  }
}

void find_byte_classes(Automaton& automaton) {
  std::array<bool, 257> begins_class{};
  begins_class[0] = true;
  for (const Edge& edge : automaton.edges) {
    if (edge.kind != EdgeKind::kByte) continue;
    begins_class[edge.first] = true;
    begins_class[size_t{edge.last} + 1] = true;
  }
  uint32_t count = 0;
  for (size_t byte = 0; byte < 256; ++byte) {
    if (begins_class[byte]) ++count;
    automaton.byte_classes[byte] = static_cast<uint8_t>(count - 1);
  }
  automaton.byte_class_count = count;
}

}  // namespace beryl::text::grammar
