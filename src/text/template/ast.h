// A parsed template: statements and expressions, each with its place in the source.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/template/lexer.h"
#include "text/template/value.h"

namespace beryl::text {

// A variable's name, as an index into ParsedTemplate::symbol_names.
using Symbol = uint32_t;

struct Expression;
struct Statement;
using ExpressionPtr = std::unique_ptr<Expression>;  // null only where a comment says so
using Block = std::vector<Statement>;

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string_view, ExpressionPtr>> named;
};

struct Literal {
  Value value;
};

struct Variable {
  Symbol symbol;
};

struct SequenceLiteral {
  std::vector<ExpressionPtr> items;
  bool is_tuple;
};

struct MapLiteral {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};

enum class UnaryOperator : uint8_t { kNot, kMinus, kPlus };

struct Unary {
  UnaryOperator op;
  ExpressionPtr operand;
};

enum class BinaryOperator : uint8_t {
  kAnd,
  kOr,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower
};

struct Binary {
  BinaryOperator op;
  ExpressionPtr left;
  ExpressionPtr right;
};

// a ~ b ~ ...
struct Concatenation {
  std::vector<ExpressionPtr> parts;
};

enum class ComparisonOperator : uint8_t {
  kEqual,
  kUnequal,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn
};

// first < second < ...: true if each pair is.
struct Comparison {
  ExpressionPtr first;
  std::vector<std::pair<ComparisonOperator, ExpressionPtr>> rest;
};

// then if condition else otherwise
struct Conditional {
  ExpressionPtr condition;
  ExpressionPtr then;
  ExpressionPtr otherwise;  // null: undefined
};

// object.name
struct Attribute {
  ExpressionPtr object;
  Value name;
};

// object[key]
struct Subscript {
  ExpressionPtr object;
  ExpressionPtr key;
};

// object[begin:end:step], each of which may be null.
struct Slice {
  ExpressionPtr object;
  ExpressionPtr begin;
  ExpressionPtr end;
  ExpressionPtr step;
};

struct Call {
  ExpressionPtr callee;
  CallArguments arguments;
};

struct FilterStep {
  std::string_view name;
  CallArguments arguments;
  Position position;
};

// input | name(arguments)
struct Filter {
  ExpressionPtr input;
  FilterStep step;
};

// input is name(arguments)
struct Test {
  ExpressionPtr input;
  std::string_view name;
  CallArguments arguments;
};

struct Expression {
  Position position;
  int depth = 1;  // expressions within each other, this one included
  std::variant<Literal, Variable, SequenceLiteral, MapLiteral, Unary, Binary, Concatenation, Comparison,
               Conditional, Attribute, Subscript, Slice, Call, Filter, Test>
      node;
};

// What a set or for assigns to: a name, or an attribute of a namespace.
struct TargetName {
  Symbol symbol;
  Value attribute;  // undefined, or the attribute's name
};

struct Target {
  std::vector<TargetName> names;
  bool unpacks = false;  // written with a comma: the value is taken apart
};

struct TextStatement {
  MarkedText text;
};

struct OutputStatement {
  ExpressionPtr value;
};

struct IfStatement {
  struct Branch {
    ExpressionPtr condition;
    Block body;
  };
  std::vector<Branch> branches;
  Block otherwise;
};

struct ForStatement {
  Target target;
  ExpressionPtr iterable;
  ExpressionPtr filter;  // null: every item
  Block body;
  Block otherwise;
  Symbol loop_symbol = 0;  // of `loop`
  bool uses_loop = false;  // the body names it
};

struct SetStatement {
  Target target;
  ExpressionPtr value;
};

// {% set name | filters %} ... {% endset %}
struct SetBlockStatement {
  Target target;
  std::vector<FilterStep> filters;
  Block body;
};

// {% filter filters %} ... {% endfilter %}
struct FilterStatement {
  std::vector<FilterStep> filters;
  Block body;
};

struct MacroStatement {
  struct Parameter {
    Symbol symbol;
    std::string_view name;
    ExpressionPtr fallback;  // null: none
  };
  Symbol symbol = 0;
  Symbol caller_symbol = 0;  // of `caller`: what a call block hands over
  std::string_view name;
  std::vector<Parameter> parameters;
  Block body;
};

// {% call callee(...) %} ... {% endcall %}: the body is the macro `caller` inside the callee.
struct CallStatement {
  ExpressionPtr call;  // a Call
  MacroStatement caller;
};

// {% with a = 1 %}, {% generation %}: a block with variables of its own.
struct ScopeStatement {
  std::vector<std::pair<Target, ExpressionPtr>> variables;
  Block body;
};

struct BreakStatement {};
struct ContinueStatement {};

struct Statement {
  Position position;
  std::variant<TextStatement, OutputStatement, IfStatement, ForStatement, SetStatement, SetBlockStatement,
               FilterStatement, MacroStatement, CallStatement, ScopeStatement, BreakStatement,
               ContinueStatement>
      node;
};

// Everything that a parsed template consists of. Views in it point into `source` and `arena`, so it stays
// where it was made.
struct ParsedTemplate {
  ParsedTemplate(std::string template_name, std::string template_source, uint64_t arena_bytes_max)
      : name(std::move(template_name)), source(std::move(template_source)), arena(arena_bytes_max) {}

  std::string name;
  std::string source;  // line ends normalised
  Arena arena;         // literals
  std::vector<std::string_view> symbol_names;
  Block body;
};

}  // namespace beryl::text
