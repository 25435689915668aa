#include "text/template/expression_depth.h"

#include <algorithm>

namespace beryl::text {
namespace {

int depth_of(const ExpressionPtr& expression) {
  return expression == nullptr ? 0 : expression->depth;
}

int depth_of(const std::vector<ExpressionPtr>& expressions) {
  int depth = 0;
  for (const ExpressionPtr& expression : expressions) depth = std::max(depth, depth_of(expression));
  return depth;
}

int depth_of(const CallArguments& arguments) {
  int depth = depth_of(arguments.positional);
  for (const auto& [name, value] : arguments.named) depth = std::max(depth, depth_of(value));
  return depth;
}

}  // namespace

int depth_below(const Literal&) {
  return 0;
}
int depth_below(const Variable&) {
  return 0;
}
int depth_below(const SequenceLiteral& node) {
  return depth_of(node.items);
}
int depth_below(const MapLiteral& node) {
  int depth = 0;
  for (const auto& [key, value] : node.entries) depth = std::max({depth, depth_of(key), depth_of(value)});
  return depth;
}
int depth_below(const Unary& node) {
  return depth_of(node.operand);
}
int depth_below(const Binary& node) {
  return std::max(depth_of(node.left), depth_of(node.right));
}
int depth_below(const Concatenation& node) {
  return depth_of(node.parts);
}
int depth_below(const Comparison& node) {
  int depth = depth_of(node.first);
  for (const auto& [op, operand] : node.rest) depth = std::max(depth, depth_of(operand));
  return depth;
}
int depth_below(const Conditional& node) {
  return std::max({depth_of(node.condition), depth_of(node.then), depth_of(node.otherwise)});
}
int depth_below(const Attribute& node) {
  return depth_of(node.object);
}
int depth_below(const Subscript& node) {
  return std::max(depth_of(node.object), depth_of(node.key));
}
int depth_below(const Slice& node) {
  return std::max({depth_of(node.object), depth_of(node.begin), depth_of(node.end), depth_of(node.step)});
}
int depth_below(const Call& node) {
  return std::max(depth_of(node.callee), depth_of(node.arguments));
}
int depth_below(const Filter& node) {
  return std::max(depth_of(node.input), depth_of(node.step.arguments));
}
int depth_below(const Test& node) {
  return std::max(depth_of(node.input), depth_of(node.arguments));
}

}  // namespace beryl::text
