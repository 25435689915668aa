// grammar/: what a model may write, token by token.
//
// In:  a JSON schema, regular expression, GBNF text, list of choices or tools, all untrusted; a vocabulary.
// Out: whether a token may come next, and the set of all that may.
// Must never know: logits, sampling, requests, or what the output is for.
//
// A source (json_schema.h, regex.h, gbnf.h, choices.h, tool_calls.h) writes a Grammar, which is a list of
// rules over characters; automaton.h makes of it states with edges over bytes; state_table.h runs that with a
// stack, remembering what it has seen; token_trie.h is the vocabulary; matcher.h follows one output.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/char_set.h"
#include "text/grammar/limits.h"

namespace beryl::text::grammar {

using NodeId = uint32_t;
using RuleId = uint32_t;

inline constexpr uint32_t kUnlimited = std::numeric_limits<uint32_t>::max();

enum class NodeKind : uint8_t {
  kLiteral,   // bytes: text `index`
  kSet,       // one character of set `index`
  kSequence,  // all children in turn; none: the empty text
  kChoice,    // any one child; none: nothing at all
  kRepeat,    // the child `min` to `max` times
  kRule,      // rule `index`
  kToken,     // the special token that text `index` spells
  kList,      // see Grammar::list()
};

struct Node {
  NodeKind kind = NodeKind::kSequence;
  uint32_t index = 0;
  uint32_t child_begin = 0;  // in Grammar::children()
  uint32_t child_count = 0;
  uint32_t min = 0;
  uint32_t max = 0;
};

// How often a part of a list comes.
enum class ItemCount : uint8_t { kOnce, kOptional, kAnyNumber };

struct ListItem {
  NodeId node = 0;  // never matches the empty text
  ItemCount count = ItemCount::kOnce;
};

// Rules over nodes, which are shared freely: a node is a pattern, not a place. All functions that add
// something throw kInvalidInput when the budget is used up.
class Grammar {
 public:
  // `budget` outlives the grammar.
  explicit Grammar(Budget& budget) : budget_(budget), stack_depth_max_(budget.limits().stack_depth_max) {}

  NodeId empty() { return sequence({}); }
  NodeId nothing() { return choice({}); }
  NodeId literal(std::string_view bytes);
  NodeId set(const CharSet& characters);
  NodeId sequence(std::span<const NodeId> parts);
  NodeId sequence(std::initializer_list<NodeId> parts) { return sequence(std::span(parts)); }
  NodeId choice(std::span<const NodeId> parts);
  NodeId choice(std::initializer_list<NodeId> parts) { return choice(std::span(parts)); }
  // `max` may be kUnlimited. Errors: kInvalidInput when min > max or a finite bound is above the limit.
  NodeId repeat(NodeId part, uint32_t min, uint32_t max);
  NodeId optional(NodeId part) { return repeat(part, 0, 1); }
  NodeId token(std::string_view text);
  // The items in this order with `separator` between any two that come. Takes space linear in their number.
  NodeId list(std::span<const ListItem> items, NodeId separator);

  // A rule to be defined later; `name` is for messages.
  RuleId add_rule(std::string_view name);
  void define(RuleId rule, NodeId body) { rules_[rule].body = body; }
  NodeId rule(RuleId rule);
  // Where the output begins.
  void set_root(NodeId root) { root_ = root; }

  // Lets the output nest less deeply than the budget would.
  void limit_stack_depth(uint32_t frames) { stack_depth_max_ = std::min(stack_depth_max_, frames); }

  NodeId root() const { return root_; }
  uint32_t stack_depth_max() const { return stack_depth_max_; }
  size_t node_count() const { return nodes_.size(); }
  size_t rule_count() const { return rules_.size(); }
  const Node& node(NodeId node) const { return nodes_[node]; }
  std::span<const NodeId> children(NodeId node) const;
  ItemCount item_count(const Node& list, size_t item) const { return counts_[list.index + item]; }
  NodeId rule_body(RuleId rule) const { return rules_[rule].body; }
  const std::string& rule_name(RuleId rule) const { return rules_[rule].name; }
  const std::string& text(const Node& node) const { return texts_[node.index]; }
  const CharSet& characters(const Node& node) const { return sets_[node.index]; }
  Budget& budget() const { return budget_; }

 private:
  struct Rule {
    std::string name;
    NodeId body = 0;
  };

  NodeId add(Node node, std::span<const NodeId> children);

  Budget& budget_;
  std::vector<Node> nodes_;
  std::vector<NodeId> children_;
  std::vector<ItemCount> counts_;  // of the lists' items
  std::vector<std::string> texts_;
  std::vector<CharSet> sets_;
  std::vector<Rule> rules_;
  NodeId root_ = 0;
  uint32_t stack_depth_max_;
};

// For each rule, whether it matches the empty text; and the same of each node.
struct Nullability {
  std::vector<bool> nodes;
  std::vector<bool> rules;
};

// Every rule is defined. Takes linear time.
Nullability find_nullable(const Grammar& grammar);

}  // namespace beryl::text::grammar
