#include "text/grammar/automaton.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/quote.h"
#include "text/grammar/left_recursion.h"
#include "text/grammar/utf8_ranges.h"

namespace beryl::text::grammar {
namespace {

// Whether a part may match the empty text. What repeats must not, or the automaton would turn in circles.
enum class Variant : uint8_t { kAny, kNotEmpty };

// "Connect `from` to `to` by what `node` matches."
struct Task {
  NodeId node = 0;
  StateId from = 0;
  StateId to = 0;
  Variant variant = Variant::kAny;
  PlainLoop loop = {};  // the one whose whole body this is
};

// Works through a list of tasks, so that the depth of the grammar costs no stack.
class AutomatonBuilder {
 public:
  explicit AutomatonBuilder(const Grammar& grammar)
      : grammar_(grammar), budget_(grammar.budget()), nullable_(find_nullable(grammar)) {}

  Automaton build() {
    result_.start = add_state();
    const StateId end = add_state();
    add_edge(end, {.kind = EdgeKind::kReturn});
    tasks_.push_back({grammar_.root(), result_.start, end, Variant::kAny});
    while (!tasks_.empty()) {
      const Task task = tasks_.back();
      tasks_.pop_back();
      connect(task);
    }
    sort_edges();
    return std::move(result_);
  }

  const std::unordered_map<StateId, RuleId>& rules_by_entry() const { return rules_by_entry_; }

 private:
  StateId add_state() {
    budget_.add_states(1);
    result_.plain_loops.emplace_back();
    return static_cast<StateId>(result_.plain_loops.size() - 1);
  }
  void add_edge(StateId from, Edge edge) {
    budget_.add_states(1);  // an edge costs as much as a state
    edges_.push_back({from, edge});
  }
  void add_empty(StateId from, StateId to) { add_edge(from, {.kind = EdgeKind::kEmpty, .target = to}); }
  bool is_nullable(NodeId node) const { return nullable_.nodes[node]; }

  void connect(const Task& task) {
    const Node& node = grammar_.node(task.node);
    switch (node.kind) {
      case NodeKind::kLiteral:
        return connect_literal(task, grammar_.text(node));
      case NodeKind::kSet:
        return connect_set(task, grammar_.characters(node));
      case NodeKind::kSequence:
        return connect_sequence(task);
      case NodeKind::kChoice:
        for (const NodeId child : grammar_.children(task.node)) {
          tasks_.push_back({child, task.from, task.to, task.variant, task.loop});
        }
        return;
      case NodeKind::kRepeat:
        return connect_repeat(task, node);
      case NodeKind::kRule:
        return add_edge(
            task.from,
            {.kind = EdgeKind::kCall, .target = task.to, .argument = rule_entry(node.index, task.variant)});
      case NodeKind::kToken:
        return add_edge(
            task.from,
            {.kind = EdgeKind::kToken, .target = task.to, .argument = token_index(grammar_.text(node))});
      case NodeKind::kList:
        return connect_list(task, node);
    }
  }

  void connect_empty(const Task& task) {
    if (task.variant == Variant::kAny) add_empty(task.from, task.to);
  }

  void connect_literal(const Task& task, std::string_view text) {
    if (text.empty()) return connect_empty(task);
    StateId from = task.from;
    for (size_t i = 0; i < text.size(); ++i) {
      const StateId to = i + 1 == text.size() ? task.to : add_state();
      const auto byte = static_cast<uint8_t>(text[i]);
      add_edge(from, {.kind = EdgeKind::kByte, .first = byte, .last = byte, .target = to});
      from = to;
    }
  }

  void connect_set(const Task& task, const CharSet& characters) {
    if (task.loop.kind != PlainLoop::Kind::kNone && characters.contains_all(json_plain_characters())) {
      result_.plain_loops[task.from] = task.loop;
    }
    // Any continuation bytes lead to the end over states that all sequences share: the state before the last
    // byte, before the last two, before the last three.
    std::array<std::optional<StateId>, 4> free_states;
    free_states[0] = task.to;
    const auto state_before = [&](uint32_t free_bytes) {
      for (uint32_t i = 1; i <= free_bytes; ++i) {
        if (free_states[i]) continue;
        free_states[i] = add_state();
        add_edge(*free_states[i],
                 {.kind = EdgeKind::kByte, .first = 0x80, .last = 0xBF, .target = *free_states[i - 1]});
      }
      return *free_states[free_bytes];
    };
    for (const ByteSequence& sequence : utf8_sequences(characters)) {
      uint32_t fixed = sequence.length;
      while (fixed > 1 && sequence.bytes[fixed - 1] == ByteRange{0x80, 0xBF}) --fixed;
      StateId from = task.from;
      for (uint32_t i = 0; i < fixed; ++i) {
        const StateId to = i + 1 == fixed ? state_before(sequence.length - fixed) : add_state();
        const ByteRange range = sequence.bytes[i];
        add_edge(from, {.kind = EdgeKind::kByte, .first = range.first, .last = range.last, .target = to});
        from = to;
      }
    }
  }

  // When it may not be empty: one row of states where all before was empty, from which the first part that is
  // not leads to the row of the ordinary states.
  void connect_sequence(const Task& task) {
    const std::span<const NodeId> parts = grammar_.children(task.node);
    if (parts.empty()) return connect_empty(task);
    std::optional<StateId> empty_so_far;
    std::optional<StateId> ordinary;
    (task.variant == Variant::kAny ? ordinary : empty_so_far) = task.from;
    for (size_t i = 0; i < parts.size() && (empty_so_far || ordinary); ++i) {
      const bool is_last = i + 1 == parts.size();
      const StateId next = is_last ? task.to : add_state();
      if (ordinary) tasks_.push_back({parts[i], *ordinary, next, Variant::kAny});
      if (empty_so_far) {
        tasks_.push_back({parts[i], *empty_so_far, next, Variant::kNotEmpty});
        if (is_last || !is_nullable(parts[i])) {
          empty_so_far.reset();
        } else {
          const StateId still_empty = add_state();
          add_empty(*empty_so_far, still_empty);
          empty_so_far = still_empty;
        }
      }
      ordinary = next;
    }
  }

  void connect_repeat(const Task& task, const Node& node) {
    const NodeId part = grammar_.children(task.node)[0];
    if (node.max == 0) return connect_empty(task);
    const bool part_may_be_empty = is_nullable(part);
    uint32_t min = part_may_be_empty ? 0 : node.min;
    if (task.variant == Variant::kNotEmpty) min = std::max(min, 1U);
    const Variant variant =
        part_may_be_empty || task.variant == Variant::kNotEmpty ? Variant::kNotEmpty : Variant::kAny;
    if (min == 0) add_empty(task.from, task.to);
    if (node.max == 1) {
      tasks_.push_back({part, task.from, task.to, variant});
    } else if (node.max == kUnlimited && min <= 1) {
      connect_uncounted({part, task.from, task.to, variant}, min);
    } else {
      const auto loop = static_cast<uint32_t>(result_.loops.size());
      const StateId body = add_state();
      const StateId done = add_state();
      result_.loops.push_back({.min = min, .max = node.max, .body = body, .exit = task.to});
      add_edge(task.from, {.kind = EdgeKind::kEnterLoop, .argument = loop});
      add_edge(done, {.kind = EdgeKind::kNextLoop, .argument = loop});
      tasks_.push_back({part, body, done, variant, {PlainLoop::Kind::kCounted, loop}});
    }
  }

  void connect_uncounted(const Task& task, uint32_t min) {
    const StateId body = add_state();
    const StateId done = min == 0 ? body : add_state();
    add_empty(task.from, body);
    if (done != body) add_empty(done, body);
    add_empty(done, task.to);
    tasks_.push_back({task.node, body, done, task.variant, {PlainLoop::Kind::kUncounted, 0}});
  }

  // For each item a state before it while the list is still empty, one after something has come, and one
  // right before the item, where both meet. So each item is there once.
  void connect_list(const Task& task, const Node& node) {
    const std::span<const NodeId> children = grammar_.children(task.node);
    const NodeId separator = children.back();
    std::optional<StateId> none_yet = task.from;
    std::optional<StateId> some;
    for (size_t i = 0; i + 1 < children.size(); ++i) {
      const ItemCount count = grammar_.item_count(node, i);
      const StateId before = add_state();
      const StateId after = add_state();
      if (none_yet) add_empty(*none_yet, before);
      if (some) tasks_.push_back({separator, *some, before, Variant::kAny});
      tasks_.push_back({children[i], before, after, Variant::kAny});
      if (count == ItemCount::kAnyNumber) tasks_.push_back({separator, after, before, Variant::kAny});
      if (count == ItemCount::kOnce) {
        none_yet.reset();
      } else if (some) {
        add_empty(*some, after);
      }
      some = after;
    }
    if (none_yet && task.variant == Variant::kAny) add_empty(*none_yet, task.to);
    if (some) add_empty(*some, task.to);
  }

  StateId rule_entry(RuleId rule, Variant variant) {
    if (!nullable_.rules[rule]) variant = Variant::kAny;
    const auto [entry, is_new] = entries_.try_emplace({rule, variant}, 0);
    if (is_new) {
      const StateId begin = add_state();
      const StateId end = add_state();
      add_edge(end, {.kind = EdgeKind::kReturn});
      tasks_.push_back({grammar_.rule_body(rule), begin, end, variant});
      rules_by_entry_[begin] = rule;
      entry->second = begin;
    }
    return entry->second;
  }

  uint32_t token_index(const std::string& text) {
    const auto found = std::find(result_.tokens.begin(), result_.tokens.end(), text);
    const auto index = static_cast<uint32_t>(found - result_.tokens.begin());
    if (found == result_.tokens.end()) result_.tokens.push_back(text);
    return index;
  }

  void sort_edges() {
    const size_t states = result_.plain_loops.size();
    result_.edge_begins.assign(states + 1, 0);
    for (const auto& [from, edge] : edges_) ++result_.edge_begins[from + 1];
    for (size_t i = 0; i < states; ++i) result_.edge_begins[i + 1] += result_.edge_begins[i];
    std::vector<uint32_t> next(result_.edge_begins.begin(), result_.edge_begins.end() - 1);
    result_.edges.resize(edges_.size());
    for (const auto& [from, edge] : edges_) result_.edges[next[from]++] = edge;
  }

  const Grammar& grammar_;
  Budget& budget_;
  Nullability nullable_;
  Automaton result_;
  std::vector<std::pair<StateId, Edge>> edges_;
  std::vector<Task> tasks_;
  std::map<std::pair<RuleId, Variant>, StateId> entries_;
  std::unordered_map<StateId, RuleId> rules_by_entry_;
};

}  // namespace

Automaton build_automaton(const Grammar& grammar) {
  AutomatonBuilder builder(grammar);
  Automaton automaton = builder.build();
  automaton.heights.assign(automaton.plain_loops.size(), kDeadHeight);
  if (const auto entry = find_left_recursion(automaton)) {
    const auto rule = builder.rules_by_entry().find(*entry);
    const std::string name =
        rule == builder.rules_by_entry().end() ? "the root" : quote(grammar.rule_name(rule->second));
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{} refers to itself before it matches anything", name));
  }
  automaton.heights = find_heights(automaton, grammar.budget());
  const uint32_t height = automaton.heights[automaton.start];
  const uint32_t limit = grammar.stack_depth_max();
  if (height == kDeadHeight) {
    throw Error(ErrorCode::kInvalidInput, "no text at all satisfies the constraint");
  }
  if (height > limit) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("the grammar nests at least {} levels deep, at most {} are supported", height, limit));
  }
  mark_tail_calls(automaton);
  find_byte_classes(automaton);
  return automaton;
}

}  // namespace beryl::text::grammar
