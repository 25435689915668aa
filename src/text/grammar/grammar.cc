#include "text/grammar/grammar.h"

#include <fmt/format.h>

#include "base/error.h"

namespace beryl::text::grammar {
namespace {

constexpr size_t kBytesPerNode = 16;  // of literals, which count as nodes too

}  // namespace

NodeId Grammar::add(Node node, std::span<const NodeId> children) {
  budget_.add_nodes(1 + children.size());
  node.child_begin = static_cast<uint32_t>(children_.size());
  node.child_count = static_cast<uint32_t>(children.size());
  children_.insert(children_.end(), children.begin(), children.end());
  nodes_.push_back(node);
  return static_cast<NodeId>(nodes_.size() - 1);
}

NodeId Grammar::literal(std::string_view bytes) {
  budget_.add_nodes(bytes.size() / kBytesPerNode);
  texts_.emplace_back(bytes);
  return add({.kind = NodeKind::kLiteral, .index = static_cast<uint32_t>(texts_.size() - 1)}, {});
}

NodeId Grammar::token(std::string_view text) {
  texts_.emplace_back(text);
  return add({.kind = NodeKind::kToken, .index = static_cast<uint32_t>(texts_.size() - 1)}, {});
}

NodeId Grammar::set(const CharSet& characters) {
  budget_.add_nodes(characters.ranges().size() / 2);
  sets_.push_back(characters);
  return add({.kind = NodeKind::kSet, .index = static_cast<uint32_t>(sets_.size() - 1)}, {});
}

NodeId Grammar::sequence(std::span<const NodeId> parts) {
  if (parts.size() == 1) return parts[0];
  return add({.kind = NodeKind::kSequence}, parts);
}

NodeId Grammar::choice(std::span<const NodeId> parts) {
  if (parts.size() == 1) return parts[0];
  return add({.kind = NodeKind::kChoice}, parts);
}

NodeId Grammar::repeat(NodeId part, uint32_t min, uint32_t max) {
  const uint32_t limit = budget_.limits().repetitions_max;
  const uint32_t largest = max == kUnlimited ? min : max;
  if (min > max) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("a repetition of {} to {} times is empty", min, max));
  }
  if (largest > limit) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("a repetition of {} times, at most {} are supported", largest, limit));
  }
  return add({.kind = NodeKind::kRepeat, .min = min, .max = max}, std::span(&part, 1));
}

NodeId Grammar::list(std::span<const ListItem> items, NodeId separator) {
  std::vector<NodeId> children;
  for (const ListItem& item : items) children.push_back(item.node);
  children.push_back(separator);
  const auto index = static_cast<uint32_t>(counts_.size());
  for (const ListItem& item : items) counts_.push_back(item.count);
  return add({.kind = NodeKind::kList, .index = index}, children);
}

RuleId Grammar::add_rule(std::string_view name) {
  budget_.add_nodes(1);
  rules_.push_back({.name = std::string(name), .body = 0});
  return static_cast<RuleId>(rules_.size() - 1);
}

NodeId Grammar::rule(RuleId rule) {
  return add({.kind = NodeKind::kRule, .index = rule}, {});
}

std::span<const NodeId> Grammar::children(NodeId node) const {
  return std::span(children_).subspan(nodes_[node].child_begin, nodes_[node].child_count);
}

}  // namespace beryl::text::grammar
