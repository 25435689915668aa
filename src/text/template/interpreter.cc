// The statements; expressions are in interpreter_expressions.cc.
#include "text/template/interpreter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "text/template/globals.h"
#include "text/template/interpreter_depth.h"
#include "text/template/value_order.h"
#include "text/template/value_text.h"

// Blocks and calls are carried out by recursion, bounded by kEvaluationDepthMax and kCallDepthMax.

// NOLINTBEGIN(misc-no-recursion)

namespace beryl::text {

Interpreter::Interpreter(const ParsedTemplate& parsed, Runtime& runtime)
    : parsed_(parsed), runtime_(runtime), globals_(make_scope(nullptr)), scope_(globals_) {
  for (Symbol symbol = 0; symbol < parsed.symbol_names.size(); ++symbol) {
    const Value value = find_global(parsed.symbol_names[symbol]);
    if (!value.is(Kind::kUndefined)) bind(*globals_, symbol, value);
  }
}

void Interpreter::set_variable(Symbol symbol, const Value& value) {
  bind(*globals_, symbol, value);
}

void Interpreter::run(MarkedTextBuilder& out) {
  out_ = &out;
  scope_ = make_scope(globals_);
  run_block(parsed_.body);
}

Scope* Interpreter::make_scope(Scope* parent) {
  return runtime_.arena().make(Scope{parent, nullptr, 0, 0, false});
}

void Interpreter::bind(Scope& scope, Symbol symbol, const Value& value) {
  for (size_t i = 0; i < scope.size; ++i) {
    if (scope.bindings[i].symbol == symbol) {
      scope.bindings[i].value = value;
      return;
    }
  }
  if (scope.size == scope.capacity) {
    const size_t capacity = scope.capacity == 0 ? 4 : scope.capacity * 2;
    auto* const bindings = runtime_.arena().make_array<Scope::Binding>(capacity);
    std::copy(scope.bindings, scope.bindings + scope.size, bindings);
    scope.bindings = bindings;
    scope.capacity = capacity;
  }
  scope.bindings[scope.size++] = {symbol, value};
}

const Value* Interpreter::find_variable(Symbol symbol) const {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    for (size_t i = 0; i < scope->size; ++i) {
      if (scope->bindings[i].symbol == symbol) return &scope->bindings[i].value;
    }
  }
  return nullptr;
}

Interpreter::Flow Interpreter::run_block(const Block& block) {
  for (const Statement& statement : block) {
    runtime_.charge(1);
    runtime_.set_position(statement.position);
    const DepthGuard guard(*this);
    const Flow flow = std::visit([this](const auto& node) { return run(node); }, statement.node);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run(const TextStatement& statement) {
  out_->append(statement.text);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run(const OutputStatement& statement) {
  append_text(runtime_, *out_, evaluate(*statement.value));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run(const IfStatement& statement) {
  for (const IfStatement::Branch& branch : statement.branches) {
    if (is_true(evaluate(*branch.condition))) return run_block(branch.body);
  }
  return run_block(statement.otherwise);
}

// The items that pass the loop's own condition, each with the target set to it.
Items Interpreter::filtered_items(const ForStatement& statement, const Items& items) {
  if (statement.filter == nullptr) return items;
  std::vector<Value> kept;
  Scope* const outer = std::exchange(scope_, make_scope(scope_));
  for (int64_t i = 0; i < items.size(); ++i) {
    runtime_.charge(1);
    assign(statement.target, items.at(i));
    if (is_true(evaluate(*statement.filter))) kept.push_back(items.at(i));
  }
  scope_ = outer;
  return {make_list_value(runtime_.arena(), kept).items(), nullptr};
}

Interpreter::Flow Interpreter::run(const ForStatement& statement) {
  const Position position = runtime_.position();
  Items items = loop_items_of(runtime_, evaluate(*statement.iterable));
  // A body that asks for `loop` may ask how many turns there are, so all conditions are evaluated first.
  // Otherwise each is evaluated when its turn comes, and may depend on what the body did before.
  const bool is_filtered_first = statement.filter != nullptr && statement.uses_loop;
  if (is_filtered_first) items = filtered_items(statement, items);
  auto* const loop = runtime_.arena().make(Loop{items, 0, nullptr});
  Scope* const outer = scope_;
  Scope* scope = make_scope(outer);
  const Symbol loop_symbol = statement.loop_symbol;
  bool has_run = false;
  for (int64_t i = 0; i < items.size(); ++i) {
    runtime_.charge(1);
    runtime_.set_position(position);
    if (scope->is_captured) scope = make_scope(outer);
    scope->size = 0;
    scope_ = scope;
    assign(statement.target, items.at(i));
    if (statement.filter != nullptr && !is_filtered_first && !is_true(evaluate(*statement.filter))) continue;
    loop->index0 = i;
    bind(*scope, loop_symbol, Value::loop(loop));
    const Flow flow = run_block(statement.body);
    // As jinja2 has it, a turn that is left early does not count for the loop's else.
    has_run = has_run || flow == Flow::kNext;
    if (flow == Flow::kBreak) break;
  }
  scope_ = outer;
  return has_run ? Flow::kNext : run_block(statement.otherwise);
}

Interpreter::Flow Interpreter::run(const SetStatement& statement) {
  const Value value = evaluate(*statement.value);
  assign(statement.target, value);
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run(const SetBlockStatement& statement) {
  const Value text = Value::string(runtime_.arena(), captured(statement.body));
  assign(statement.target, filtered(text, statement.filters));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run(const FilterStatement& statement) {
  const Value text = Value::string(runtime_.arena(), captured(statement.body));
  append_text(runtime_, *out_, filtered(text, statement.filters));
  return Flow::kNext;
}

Value Interpreter::make_macro(const MacroStatement& statement) {
  for (Scope* scope = scope_; scope != nullptr && !scope->is_captured; scope = scope->parent) {
    scope->is_captured = true;
  }
  return Value::macro(runtime_.arena().make(Macro{&statement, scope_}));
}

Interpreter::Flow Interpreter::run(const MacroStatement& statement) {
  bind(*scope_, statement.symbol, make_macro(statement));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run(const CallStatement& statement) {
  const Value caller = make_macro(statement.caller);
  append_text(runtime_, *out_, call(std::get<Call>(statement.call->node), &caller));
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run(const ScopeStatement& statement) {
  Scope* const outer = scope_;
  std::vector<Value> values;
  for (const auto& [target, value] : statement.variables) values.push_back(evaluate(*value));
  scope_ = make_scope(outer);
  for (size_t i = 0; i < values.size(); ++i) assign(statement.variables[i].first, values[i]);
  const Flow flow = run_block(statement.body);
  scope_ = outer;
  return flow;
}

Interpreter::Flow Interpreter::run(const BreakStatement&) {
  return Flow::kBreak;
}

Interpreter::Flow Interpreter::run(const ContinueStatement&) {
  return Flow::kContinue;
}

MarkedText Interpreter::captured(const Block& block) {
  MarkedTextBuilder text(runtime_.arena());
  MarkedTextBuilder* const outer_out = std::exchange(out_, &text);
  Scope* const outer = std::exchange(scope_, make_scope(scope_));
  run_block(block);
  scope_ = outer;
  out_ = outer_out;
  return text.finish();
}

Value Interpreter::filtered(Value value, const std::vector<FilterStep>& filters) {
  for (const FilterStep& step : filters) {
    value = apply_filter(value, step);
  }
  return value;
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (!target.unpacks) return assign_name(target.names.front(), value);
  const auto items = items_of(runtime_, value);
  if (items.size() != target.names.size()) {
    fail_render(fmt::format("cannot unpack {} values into {} names", items.size(), target.names.size()));
  }
  for (size_t i = 0; i < items.size(); ++i) assign_name(target.names[i], items[i]);
}

void Interpreter::assign_name(const TargetName& target, const Value& value) {
  if (target.attribute.is(Kind::kUndefined)) return bind(*scope_, target.symbol, value);
  const Value* const space = find_variable(target.symbol);
  if (space == nullptr || !space->is(Kind::kNamespace)) {
    fail_render(fmt::format("cannot assign an attribute of {}: it is not a namespace",
                            quote(parsed_.symbol_names[target.symbol])));
  }
  set_in_namespace(runtime_.arena(), space->name_space(), target.attribute.string(), value);
}

}  // namespace beryl::text

// NOLINTEND(misc-no-recursion)
