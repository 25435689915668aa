#include "text/template/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "text/template/expression_depth.h"
#include "text/template/limits.h"
#include "text/template/literals.h"

// The grammar is read by recursive descent. Its depth is bounded: by depth_ for expressions in brackets, and
// by Expression::depth for chains.

// NOLINTBEGIN(misc-no-recursion)

namespace beryl::text {

ExpressionParser::ExpressionParser(ParsedTemplate& parsed, std::vector<Token> tokens)
    : parsed_(parsed), tokens_(std::move(tokens)) {}

const Token& ExpressionParser::following() const {
  return tokens_[std::min(index_ + 1, tokens_.size() - 1)];
}

Token ExpressionParser::take() {
  const Token token = tokens_[index_];
  if (index_ + 1 < tokens_.size()) ++index_;
  return token;
}

bool ExpressionParser::skip_operator(std::string_view text) {
  if (!at_operator(text)) return false;
  take();
  return true;
}

bool ExpressionParser::skip_name(std::string_view text) {
  if (!at_name(text)) return false;
  take();
  return true;
}

void ExpressionParser::expect_operator(std::string_view text) {
  if (!skip_operator(text)) fail_unexpected(fmt::format("'{}'", text));
}

void ExpressionParser::expect_name(std::string_view text) {
  if (!skip_name(text)) fail_unexpected(fmt::format("'{}'", text));
}

Token ExpressionParser::expect(TokenKind kind, std::string_view description) {
  if (current().kind != kind) fail_unexpected(description);
  return take();
}

void ExpressionParser::fail(Position position, std::string_view message) const {
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", place_text(parsed_.name, position), message));
}

void ExpressionParser::fail_unexpected(std::string_view expected) const {
  constexpr size_t kShownBytesMax = 40;
  const Token& token = current();
  if (token.kind == TokenKind::kEnd) {
    fail(token.position, fmt::format("the template ends here, expected {}", expected));
  }
  fail(token.position,
       fmt::format("unexpected {}, expected {}", quote(token.text, kShownBytesMax), expected));
}

Symbol ExpressionParser::symbol_of(std::string_view name) {
  const auto [position, is_new] = symbols_.emplace(name, static_cast<Symbol>(parsed_.symbol_names.size()));
  if (is_new) parsed_.symbol_names.push_back(name);
  return position->second;
}

Value ExpressionParser::string_literal(std::string_view text) {
  return Value::string(parsed_.arena, MarkedText(parsed_.arena.copy(text), Origin::kTemplate));
}

template <typename Node>
ExpressionPtr ExpressionParser::make(Position position, Node node) {
  const int depth = depth_below(node) + 1;
  if (depth > kExpressionDepthMax) {
    fail(position, fmt::format("this expression is nested deeper than {}", kExpressionDepthMax));
  }
  return std::make_unique<Expression>(Expression{position, depth, std::move(node)});
}

ExpressionPtr ExpressionParser::make_binary(Position position, BinaryOperator op, ExpressionPtr left,
                                            ExpressionPtr right) {
  return make(position, Binary{op, std::move(left), std::move(right)});
}

ExpressionPtr ExpressionParser::parse_expression() {
  if (++depth_ > kExpressionDepthMax) {
    fail(current().position, fmt::format("this expression is nested deeper than {}", kExpressionDepthMax));
  }
  ExpressionPtr result = parse_or();
  while (at_name("if")) {
    const Position position = take().position;
    ExpressionPtr condition = parse_or();
    ExpressionPtr otherwise = skip_name("else") ? parse_expression() : nullptr;
    result = make(position, Conditional{std::move(condition), std::move(result), std::move(otherwise)});
  }
  --depth_;
  return result;
}

bool ExpressionParser::is_tuple_end() const {
  const TokenKind kind = current().kind;
  return kind == TokenKind::kVariableEnd || kind == TokenKind::kBlockEnd || at_operator(")") ||
         at_name("in") || at_name("recursive");
}

ExpressionPtr ExpressionParser::parse_tuple_of(Parse parse_item) {
  const Position position = current().position;
  ExpressionPtr first = (this->*parse_item)();
  if (!at_operator(",")) return first;
  SequenceLiteral tuple{{}, true};
  tuple.items.push_back(std::move(first));
  while (skip_operator(",") && !is_tuple_end()) tuple.items.push_back((this->*parse_item)());
  return make(position, std::move(tuple));
}

ExpressionPtr ExpressionParser::parse_tuple() {
  return parse_tuple_of(&ExpressionParser::parse_expression);
}

ExpressionPtr ExpressionParser::parse_iterable() {
  return parse_tuple_of(&ExpressionParser::parse_or);
}

ExpressionPtr ExpressionParser::parse_or() {
  ExpressionPtr left = parse_and();
  while (at_name("or")) {
    const Position position = take().position;
    left = make_binary(position, BinaryOperator::kOr, std::move(left), parse_and());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_and() {
  ExpressionPtr left = parse_not();
  while (at_name("and")) {
    const Position position = take().position;
    left = make_binary(position, BinaryOperator::kAnd, std::move(left), parse_not());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_not() {
  std::vector<Position> nots;
  while (at_name("not")) nots.push_back(take().position);
  ExpressionPtr result = parse_comparison();
  for (; !nots.empty(); nots.pop_back()) {
    result = make(nots.back(), Unary{UnaryOperator::kNot, std::move(result)});
  }
  return result;
}

ExpressionPtr ExpressionParser::parse_comparison() {
  constexpr std::pair<std::string_view, ComparisonOperator> kOperators[] = {
      {"==", ComparisonOperator::kEqual},  {"!=", ComparisonOperator::kUnequal},
      {"<", ComparisonOperator::kLess},    {"<=", ComparisonOperator::kLessEqual},
      {">", ComparisonOperator::kGreater}, {">=", ComparisonOperator::kGreaterEqual}};
  const Position position = current().position;
  Comparison comparison{parse_sum(), {}};
  while (true) {
    const auto* const found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                           [this](const auto& entry) { return at_operator(entry.first); });
    if (found != std::end(kOperators)) {
      take();
      comparison.rest.emplace_back(found->second, parse_sum());
    } else if (skip_name("in")) {
      comparison.rest.emplace_back(ComparisonOperator::kIn, parse_sum());
    } else if (at_name("not") && is(following(), TokenKind::kName, "in")) {
      take();
      take();
      comparison.rest.emplace_back(ComparisonOperator::kNotIn, parse_sum());
    } else {
      break;
    }
  }
  if (comparison.rest.empty()) return std::move(comparison.first);
  return make(position, std::move(comparison));
}

ExpressionPtr ExpressionParser::parse_sum() {
  ExpressionPtr left = parse_concatenation();
  while (at_operator("+") || at_operator("-")) {
    const Token token = take();
    const auto op = token.text == "+" ? BinaryOperator::kAdd : BinaryOperator::kSubtract;
    left = make_binary(token.position, op, std::move(left), parse_concatenation());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_concatenation() {
  const Position position = current().position;
  Concatenation concatenation;
  concatenation.parts.push_back(parse_product());
  while (skip_operator("~")) concatenation.parts.push_back(parse_product());
  if (concatenation.parts.size() == 1) return std::move(concatenation.parts.front());
  return make(position, std::move(concatenation));
}

ExpressionPtr ExpressionParser::parse_product() {
  constexpr std::pair<std::string_view, BinaryOperator> kOperators[] = {{"*", BinaryOperator::kMultiply},
                                                                        {"/", BinaryOperator::kDivide},
                                                                        {"//", BinaryOperator::kFloorDivide},
                                                                        {"%", BinaryOperator::kModulo}};
  ExpressionPtr left = parse_power();
  while (true) {
    const auto* const found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                           [this](const auto& entry) { return at_operator(entry.first); });
    if (found == std::end(kOperators)) return left;
    const Position position = take().position;
    left = make_binary(position, found->second, std::move(left), parse_power());
  }
}

// As Jinja and unlike Python, a chain of powers is taken from the left.
ExpressionPtr ExpressionParser::parse_power() {
  ExpressionPtr left = parse_unary();
  while (at_operator("**")) {
    const Position position = take().position;
    left = make_binary(position, BinaryOperator::kPower, std::move(left), parse_unary());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_unary() {
  return parse_filters(parse_signed());
}

ExpressionPtr ExpressionParser::parse_signed() {
  std::vector<Token> signs;
  while (at_operator("-") || at_operator("+")) signs.push_back(take());
  ExpressionPtr result = parse_postfix(parse_primary());
  for (; !signs.empty(); signs.pop_back()) {
    const auto op = signs.back().text == "-" ? UnaryOperator::kMinus : UnaryOperator::kPlus;
    result = parse_postfix(make(signs.back().position, Unary{op, std::move(result)}));
  }
  return result;
}

ExpressionPtr ExpressionParser::parse_primary() {
  const Token& token = current();
  switch (token.kind) {
    case TokenKind::kName:
      return parse_name();
    case TokenKind::kString:
      return parse_strings();
    case TokenKind::kInteger: {
      const auto value = parse_integer_literal(token.text);
      if (!value) fail(token.position, "this integer does not fit in 64 bits");
      return make(take().position, Literal{Value::integer(*value)});
    }
    case TokenKind::kFloat: {
      const Value value = Value::real(parse_float_literal(token.text));
      return make(take().position, Literal{value});
    }
    default:
      break;
  }
  if (at_operator("(")) return parse_brackets();
  if (at_operator("[")) return parse_list();
  if (at_operator("{")) return parse_map();
  fail_unexpected("an expression");
}

ExpressionPtr ExpressionParser::parse_name() {
  const Token token = take();
  if (token.text == "true" || token.text == "True")
    return make(token.position, Literal{Value::boolean(true)});
  if (token.text == "false" || token.text == "False")
    return make(token.position, Literal{Value::boolean(false)});
  if (token.text == "none" || token.text == "None") return make(token.position, Literal{Value::none()});
  if (token.text == "loop") ++loop_uses_;
  return make(token.position, Variable{symbol_of(token.text)});
}

// Strings side by side are one string.
ExpressionPtr ExpressionParser::parse_strings() {
  const Position position = current().position;
  std::string joined;
  while (current().kind == TokenKind::kString) {
    const auto text = parse_string_literal(current().text);
    if (!text) fail(current().position, "this string has an escape that is incomplete or not supported");
    joined += *text;
    take();
  }
  return make(position, Literal{string_literal(joined)});
}

ExpressionPtr ExpressionParser::parse_brackets() {
  const Position position = take().position;
  if (skip_operator(")")) return make(position, SequenceLiteral{{}, true});
  ExpressionPtr inner = parse_tuple();
  expect_operator(")");
  return inner;
}

ExpressionPtr ExpressionParser::parse_list() {
  const Position position = take().position;
  SequenceLiteral list{{}, false};
  while (!at_operator("]")) {
    list.items.push_back(parse_expression());
    if (!at_operator("]")) expect_operator(",");
  }
  take();
  return make(position, std::move(list));
}

ExpressionPtr ExpressionParser::parse_map() {
  const Position position = take().position;
  MapLiteral map;
  while (!at_operator("}")) {
    ExpressionPtr key = parse_expression();
    expect_operator(":");
    map.entries.emplace_back(std::move(key), parse_expression());
    if (!at_operator("}")) expect_operator(",");
  }
  take();
  return make(position, std::move(map));
}

ExpressionPtr ExpressionParser::parse_postfix(ExpressionPtr object) {
  while (true) {
    if (at_operator(".")) {
      object = parse_attribute(std::move(object));
    } else if (at_operator("[")) {
      object = parse_subscript(std::move(object));
    } else if (at_operator("(")) {
      object = parse_call(std::move(object));
    } else {
      return object;
    }
  }
}

ExpressionPtr ExpressionParser::parse_attribute(ExpressionPtr object) {
  take();
  const Token name = current();
  if (name.kind == TokenKind::kInteger) {
    ExpressionPtr key = parse_primary();
    return make(name.position, Subscript{std::move(object), std::move(key)});
  }
  expect(TokenKind::kName, "an attribute's name");
  return make(name.position, Attribute{std::move(object), string_literal(name.text)});
}

ExpressionPtr ExpressionParser::parse_subscript(ExpressionPtr object) {
  const Position position = take().position;
  ExpressionPtr begin = at_operator(":") ? nullptr : parse_tuple();
  if (skip_operator("]")) {
    if (begin == nullptr) fail(position, "expected an index");
    return make(position, Subscript{std::move(object), std::move(begin)});
  }
  expect_operator(":");
  ExpressionPtr end;
  ExpressionPtr step;
  if (!at_operator(":") && !at_operator("]")) end = parse_expression();
  if (skip_operator(":") && !at_operator("]")) step = parse_expression();
  expect_operator("]");
  return make(position, Slice{std::move(object), std::move(begin), std::move(end), std::move(step)});
}

ExpressionPtr ExpressionParser::parse_call(ExpressionPtr callee) {
  const Position position = current().position;
  CallArguments arguments = parse_arguments();
  return make(position, Call{std::move(callee), std::move(arguments)});
}

CallArguments ExpressionParser::parse_arguments() {
  expect_operator("(");
  CallArguments arguments;
  while (!at_operator(")")) {
    const Token token = current();
    if (at_operator("*") || at_operator("**"))
      fail(token.position, "unpacking of arguments is not supported");
    if (token.kind == TokenKind::kName && is(following(), TokenKind::kOperator, "=")) {
      take();
      take();
      arguments.named.emplace_back(token.text, parse_expression());
    } else {
      if (!arguments.named.empty())
        fail(token.position, "an argument without a name follows one with a name");
      arguments.positional.push_back(parse_expression());
    }
    if (!at_operator(")")) expect_operator(",");
  }
  take();
  return arguments;
}

ExpressionPtr ExpressionParser::parse_filters(ExpressionPtr input) {
  while (true) {
    if (at_operator("|")) {
      take();
      FilterStep step = parse_filter_step();
      const Position position = step.position;
      input = make(position, Filter{std::move(input), std::move(step)});
    } else if (at_name("is")) {
      input = parse_test(std::move(input));
    } else if (at_operator("(")) {
      input = parse_call(std::move(input));
    } else {
      return input;
    }
  }
}

FilterStep ExpressionParser::parse_filter_step() {
  const Token name = expect(TokenKind::kName, "a filter's name");
  FilterStep step{name.text, {}, name.position};
  if (at_operator("(")) step.arguments = parse_arguments();
  return step;
}

std::vector<FilterStep> ExpressionParser::parse_filter_steps() {
  std::vector<FilterStep> steps;
  do {
    steps.push_back(parse_filter_step());
  } while (skip_operator("|"));
  return steps;
}

ExpressionPtr ExpressionParser::parse_test(ExpressionPtr input) {
  const Position position = take().position;
  const bool is_negated = skip_name("not");
  const Token name = expect(TokenKind::kName, "a test's name");
  Test test{std::move(input), name.text, {}};
  const TokenKind kind = current().kind;
  const bool is_operand = kind == TokenKind::kString || kind == TokenKind::kInteger ||
                          kind == TokenKind::kFloat || at_operator("[") || at_operator("{") ||
                          (kind == TokenKind::kName && !at_name("else") && !at_name("or") &&
                           !at_name("and") && !at_name("if") && !at_name("in") && !at_name("not"));
  if (at_operator("(")) {
    test.arguments = parse_arguments();
  } else if (is_operand) {
    if (at_name("is")) fail(current().position, "tests cannot be chained with 'is'");
    test.arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  ExpressionPtr result = make(position, std::move(test));
  if (is_negated) result = make(position, Unary{UnaryOperator::kNot, std::move(result)});
  return result;
}

}  // namespace beryl::text

// NOLINTEND(misc-no-recursion)
