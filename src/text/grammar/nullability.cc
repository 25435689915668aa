// Which rules and nodes match the empty text: each is decided once, when enough of its parts are.

#include <utility>

#include "text/grammar/grammar.h"

namespace beryl::text::grammar {
namespace {

class NullabilitySearch {
 public:
  explicit NullabilitySearch(const Grammar& grammar) : grammar_(grammar) {
    result_.nodes.resize(grammar.node_count());
    result_.rules.resize(grammar.rule_count());
    undecided_.resize(grammar.node_count());
    parents_.resize(grammar.node_count());
    referrers_.resize(grammar.rule_count());
    rules_of_body_.resize(grammar.node_count());
  }

  Nullability run() {
    for (RuleId rule = 0; rule < grammar_.rule_count(); ++rule) {
      rules_of_body_[grammar_.rule_body(rule)].push_back(rule);
    }
    for (NodeId node = 0; node < grammar_.node_count(); ++node) enter(node);
    while (!found_.empty()) {
      const NodeId node = found_.back();
      found_.pop_back();
      for (const NodeId parent : parents_[node]) child_found(parent);
      for (const RuleId rule : rules_of_body_[node]) {
        result_.rules[rule] = true;
        for (const NodeId referrer : referrers_[rule]) mark(referrer);
      }
    }
    return std::move(result_);
  }

 private:
  void enter(NodeId id) {
    const Node& node = grammar_.node(id);
    switch (node.kind) {
      case NodeKind::kLiteral:
        if (grammar_.text(node).empty()) mark(id);
        return;
      case NodeKind::kSequence:
        undecided_[id] = node.child_count;
        if (node.child_count == 0) mark(id);
        break;
      case NodeKind::kRepeat:
        if (node.min == 0) mark(id);
        break;
      case NodeKind::kList: {
        bool is_optional = true;
        for (size_t i = 0; i + 1 < node.child_count; ++i) {
          is_optional = is_optional && grammar_.item_count(node, i) != ItemCount::kOnce;
        }
        if (is_optional) mark(id);
        return;
      }
      case NodeKind::kRule:
        referrers_[node.index].push_back(id);
        return;
      case NodeKind::kChoice:
        break;
      case NodeKind::kSet:
      case NodeKind::kToken:
        return;
    }
    for (const NodeId child : grammar_.children(id)) parents_[child].push_back(id);
  }

  void child_found(NodeId id) {
    const bool needs_all = grammar_.node(id).kind == NodeKind::kSequence;
    if (!needs_all || --undecided_[id] == 0) mark(id);
  }

  void mark(NodeId id) {
    if (result_.nodes[id]) return;
    result_.nodes[id] = true;
    found_.push_back(id);
  }

  const Grammar& grammar_;
  Nullability result_;
  std::vector<uint32_t> undecided_;  // children of a sequence that are not known to match the empty text
  std::vector<std::vector<NodeId>> parents_;
  std::vector<std::vector<NodeId>> referrers_;  // of a rule
  std::vector<std::vector<RuleId>> rules_of_body_;
  std::vector<NodeId> found_;
};

}  // namespace

Nullability find_nullable(const Grammar& grammar) {
  return NullabilitySearch(grammar).run();
}

}  // namespace beryl::text::grammar
