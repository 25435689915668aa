// The expressions; statements are in interpreter.cc.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "text/template/access.h"
#include "text/template/arithmetic.h"
#include "text/template/filters.h"
#include "text/template/interpreter.h"
#include "text/template/interpreter_depth.h"
#include "text/template/predicates.h"
#include "text/template/value_order.h"
#include "text/template/value_text.h"

// Expressions are evaluated by recursion, bounded by kEvaluationDepthMax and kCallDepthMax.

// NOLINTBEGIN(misc-no-recursion)

namespace beryl::text {

Value Interpreter::evaluate(const Expression& expression) {
  runtime_.charge(1);
  const DepthGuard guard(*this);
  const Position outer = runtime_.position();
  runtime_.set_position(expression.position);
  const Value value = std::visit([this](const auto& node) { return evaluate(node); }, expression.node);
  runtime_.set_position(outer);
  return value;
}

Value Interpreter::evaluate_optional(const ExpressionPtr& expression) {
  return expression == nullptr ? Value() : evaluate(*expression);
}

Value Interpreter::evaluate(const Literal& node) {
  return node.value;
}

Value Interpreter::evaluate(const Variable& node) {
  const Value* const value = find_variable(node.symbol);
  return value != nullptr ? *value : missing_variable(parsed_.symbol_names[node.symbol]);
}

Value Interpreter::missing_variable(std::string_view name) {
  const MarkedText key(name, Origin::kTemplate);
  return Value::undefined(runtime_.arena().make(Missing{Value(), Value::string(runtime_.arena(), key)}));
}

Value Interpreter::evaluate(const SequenceLiteral& node) {
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const ExpressionPtr& item : node.items) items.push_back(evaluate(*item));
  return node.is_tuple ? make_tuple_value(runtime_.arena(), items) : make_list_value(runtime_.arena(), items);
}

Value Interpreter::evaluate(const MapLiteral& node) {
  std::vector<Entry> entries;
  for (const auto& [key, value] : node.entries) {
    const Value key_value = evaluate(*key);
    put_entry(runtime_, entries, key_value, evaluate(*value));
  }
  return make_map_value(runtime_.arena(), entries);
}

Value Interpreter::evaluate(const Unary& node) {
  const Value operand = evaluate(*node.operand);
  if (node.op == UnaryOperator::kNot) return Value::boolean(!is_true(operand));
  if (node.op == UnaryOperator::kMinus) return negate(operand);
  return negate(negate(operand));
}

Value Interpreter::evaluate(const Binary& node) {
  const Value left = evaluate(*node.left);
  if (node.op == BinaryOperator::kAnd) return is_true(left) ? evaluate(*node.right) : left;
  if (node.op == BinaryOperator::kOr) return is_true(left) ? left : evaluate(*node.right);
  const Value right = evaluate(*node.right);
  return apply_binary(runtime_, node.op, left, right);
}

Value Interpreter::evaluate(const Concatenation& node) {
  MarkedTextBuilder text(runtime_.arena());
  for (const ExpressionPtr& part : node.parts) append_text(runtime_, text, evaluate(*part));
  return Value::string(runtime_.arena(), text.finish());
}

bool Interpreter::compares(ComparisonOperator op, const Value& left, const Value& right) {
  const bool has_order = op != ComparisonOperator::kEqual && op != ComparisonOperator::kUnequal &&
                         op != ComparisonOperator::kIn && op != ComparisonOperator::kNotIn;
  if (has_order && left.is(Kind::kUndefined)) fail_render(missing_text(left));
  if (has_order && right.is(Kind::kUndefined)) fail_render(missing_text(right));
  switch (op) {
    case ComparisonOperator::kEqual:
      return equals(runtime_, left, right);
    case ComparisonOperator::kUnequal:
      return !equals(runtime_, left, right);
    case ComparisonOperator::kLess:
      return order(runtime_, left, right, "<") < 0;
    case ComparisonOperator::kLessEqual:
      return order(runtime_, left, right, "<=") <= 0;
    case ComparisonOperator::kGreater:
      return order(runtime_, left, right, ">") > 0;
    case ComparisonOperator::kGreaterEqual:
      return order(runtime_, left, right, ">=") >= 0;
    case ComparisonOperator::kIn:
      return contains(runtime_, right, left);
    case ComparisonOperator::kNotIn:
      return !contains(runtime_, right, left);
  }
  return false;
}

Value Interpreter::evaluate(const Comparison& node) {
  Value left = evaluate(*node.first);
  for (const auto& [op, operand] : node.rest) {
    const Value right = evaluate(*operand);
    if (!compares(op, left, right)) return Value::boolean(false);
    left = right;
  }
  return Value::boolean(true);
}

Value Interpreter::evaluate(const Conditional& node) {
  return is_true(evaluate(*node.condition)) ? evaluate(*node.then) : evaluate_optional(node.otherwise);
}

Value Interpreter::evaluate(const Attribute& node) {
  return find_attribute(runtime_, evaluate(*node.object), node.name);
}

Value Interpreter::evaluate(const Subscript& node) {
  const Value object = evaluate(*node.object);
  return find_item(runtime_, object, evaluate(*node.key));
}

Value Interpreter::evaluate(const Slice& node) {
  const Value object = evaluate(*node.object);
  const Value begin = evaluate_optional(node.begin);
  const Value end = evaluate_optional(node.end);
  return slice_of(runtime_, object, begin, end, evaluate_optional(node.step));
}

Interpreter::EvaluatedArguments Interpreter::evaluate(const CallArguments& arguments) {
  EvaluatedArguments evaluated;
  evaluated.positional.reserve(arguments.positional.size());
  for (const ExpressionPtr& argument : arguments.positional)
    evaluated.positional.push_back(evaluate(*argument));
  for (const auto& [name, argument] : arguments.named) evaluated.named.push_back({name, evaluate(*argument)});
  return evaluated;
}

Value Interpreter::apply_filter(const Value& input, const FilterStep& step) {
  const FilterFunction filter = find_filter(step.name);
  if (filter == nullptr) {
    runtime_.set_position(step.position);
    fail_render("no filter named " + quote(step.name));
  }
  const EvaluatedArguments arguments = evaluate(step.arguments);
  return filter(runtime_, input, arguments.view());
}

Value Interpreter::evaluate(const Filter& node) {
  return apply_filter(evaluate(*node.input), node.step);
}

Value Interpreter::evaluate(const Test& node) {
  const Predicate predicate = find_predicate(node.name);
  if (predicate == nullptr) fail_render("no test named " + quote(node.name));
  const Value input = evaluate(*node.input);
  const EvaluatedArguments arguments = evaluate(node.arguments);
  return Value::boolean(predicate(runtime_, input, arguments.view()));
}

Value Interpreter::evaluate(const Call& node) {
  return call(node, nullptr);
}

Value Interpreter::call(const Call& node, const Value* caller) {
  const Value callee = evaluate(*node.callee);
  const EvaluatedArguments arguments = evaluate(node.arguments);
  switch (callee.kind()) {
    case Kind::kFunction:
      return callee.function()(runtime_, arguments.view());
    case Kind::kMethod:
      return callee.method().call(runtime_, callee.method().owner, arguments.view());
    case Kind::kMacro:
      return call_macro(callee.macro(), arguments.view(), caller);
    case Kind::kUndefined:
      fail_render(missing_text(callee));
    default:
      fail_render(fmt::format("'{}' object is not callable", type_name(callee)));
  }
}

Value Interpreter::argument_for(const MacroStatement& macro, size_t index, const Arguments& arguments) {
  const MacroStatement::Parameter& parameter = macro.parameters[index];
  const auto named =
      std::find_if(arguments.named.begin(), arguments.named.end(),
                   [&](const NamedValue& argument) { return argument.name == parameter.name; });
  const bool is_named = named != arguments.named.end();
  if (index < arguments.positional.size()) {
    if (is_named)
      fail_render(fmt::format("macro {} got two values for {}", quote(macro.name), quote(parameter.name)));
    return arguments.positional[index];
  }
  if (is_named) return named->value;
  return parameter.fallback == nullptr ? missing_variable(parameter.name) : evaluate(*parameter.fallback);
}

Value Interpreter::call_macro(const Macro& macro, const Arguments& arguments, const Value* caller) {
  const MacroStatement& statement = *macro.statement;
  if (call_depth_ >= kCallDepthMax) {
    throw Error(ErrorCode::kResource, fmt::format("macros call each other deeper than {}", kCallDepthMax));
  }
  if (arguments.positional.size() > statement.parameters.size()) {
    fail_render(fmt::format("macro {} takes at most {} arguments, got {}", quote(statement.name),
                            statement.parameters.size(), arguments.positional.size()));
  }
  for (const NamedValue& argument : arguments.named) {
    const bool is_known = std::any_of(statement.parameters.begin(), statement.parameters.end(),
                                      [&](const auto& parameter) { return parameter.name == argument.name; });
    if (!is_known)
      fail_render(fmt::format("macro {} has no parameter {}", quote(statement.name), quote(argument.name)));
  }
  ++call_depth_;
  Scope* const outer = std::exchange(scope_, make_scope(macro.scope));
  if (caller != nullptr) bind(*scope_, statement.caller_symbol, *caller);
  for (size_t i = 0; i < statement.parameters.size(); ++i) {
    bind(*scope_, statement.parameters[i].symbol, argument_for(statement, i, arguments));
  }
  MarkedTextBuilder text(runtime_.arena());
  MarkedTextBuilder* const outer_out = std::exchange(out_, &text);
  run_block(statement.body);
  out_ = outer_out;
  scope_ = outer;
  --call_depth_;
  return Value::string(runtime_.arena(), text.finish());
}

}  // namespace beryl::text

// NOLINTEND(misc-no-recursion)
