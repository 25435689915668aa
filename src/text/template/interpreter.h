// Carries out a parsed template for one render.
#pragma once

#include <span>
#include <vector>

#include "text/template/ast.h"
#include "text/template/marked_text.h"
#include "text/template/runtime.h"
#include "text/template/value.h"

namespace beryl::text {

// Variables of a block that has its own: a loop's turn, a macro's call. Lives in the arena, as macros may
// outlive the block that they were made in.
struct Scope {
  struct Binding {
    Symbol symbol;
    Value value;
  };
  Scope* parent = nullptr;
  Binding* bindings = nullptr;
  size_t size = 0;
  size_t capacity = 0;
  bool is_captured = false;  // a macro was made here and may look at it later
};

struct Macro {
  const MacroStatement* statement = nullptr;
  Scope* scope = nullptr;  // where it was made
};

class Interpreter {
 public:
  // `parsed` and `runtime` outlive this.
  Interpreter(const ParsedTemplate& parsed, Runtime& runtime);

  // Before run(): a variable that the template may use.
  void set_variable(Symbol symbol, const Value& value);

  // Appends what the template prints to `out`. Errors: kInvalidInput and kResource, without the place:
  // Runtime::position() tells it.
  void run(MarkedTextBuilder& out);

 private:
  // What a statement does to the loop around it.
  enum class Flow : uint8_t { kNext, kBreak, kContinue };
  class DepthGuard;

  Flow run_block(const Block& block);
  Flow run(const TextStatement& statement);
  Flow run(const OutputStatement& statement);
  Flow run(const IfStatement& statement);
  Flow run(const ForStatement& statement);
  Flow run(const SetStatement& statement);
  Flow run(const SetBlockStatement& statement);
  Flow run(const FilterStatement& statement);
  Flow run(const MacroStatement& statement);
  Flow run(const CallStatement& statement);
  Flow run(const ScopeStatement& statement);
  Flow run(const BreakStatement& statement);
  Flow run(const ContinueStatement& statement);
  Items filtered_items(const ForStatement& statement, const Items& items);
  // What `block` prints, in a scope of its own.
  MarkedText captured(const Block& block);
  Value filtered(Value value, const std::vector<FilterStep>& filters);
  void assign(const Target& target, const Value& value);
  void assign_name(const TargetName& target, const Value& value);

  Value evaluate(const Expression& expression);
  // Undefined when `expression` is null.
  Value evaluate_optional(const ExpressionPtr& expression);
  Value evaluate(const Literal& node);
  Value evaluate(const Variable& node);
  Value evaluate(const SequenceLiteral& node);
  Value evaluate(const MapLiteral& node);
  Value evaluate(const Unary& node);
  Value evaluate(const Binary& node);
  Value evaluate(const Concatenation& node);
  Value evaluate(const Comparison& node);
  Value evaluate(const Conditional& node);
  Value evaluate(const Attribute& node);
  Value evaluate(const Subscript& node);
  Value evaluate(const Slice& node);
  Value evaluate(const Call& node);
  Value evaluate(const Filter& node);
  Value evaluate(const Test& node);
  bool compares(ComparisonOperator op, const Value& left, const Value& right);
  Value apply_filter(const Value& input, const FilterStep& step);
  Value call(const Call& node, const Value* caller);
  Value missing_variable(std::string_view name);
  // The value of parameter `index`. Its default may use the parameters before it.
  Value argument_for(const MacroStatement& macro, size_t index, const Arguments& arguments);
  Value call_macro(const Macro& macro, const Arguments& arguments, const Value* caller);

  // Values of arguments, and the views of them that callees get.
  struct EvaluatedArguments {
    std::vector<Value> positional;
    std::vector<NamedValue> named;
    Arguments view() const { return {positional, named}; }
  };
  EvaluatedArguments evaluate(const CallArguments& arguments);

  // Null when no scope has it.
  const Value* find_variable(Symbol symbol) const;
  void bind(Scope& scope, Symbol symbol, const Value& value);
  Scope* make_scope(Scope* parent);
  // From now on a macro may look at the variables around it.
  Value make_macro(const MacroStatement& statement);

  const ParsedTemplate& parsed_;
  Runtime& runtime_;
  MarkedTextBuilder* out_ = nullptr;  // where output goes now
  Scope* globals_;
  Scope* scope_;
  int depth_ = 0;       // evaluations within each other
  int call_depth_ = 0;  // macro calls within each other
};

}  // namespace beryl::text
