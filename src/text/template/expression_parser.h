// Reads expressions from tokens, with Jinja's grammar and precedence. The statement parser (parser.cc) drives
// it.
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/template/ast.h"

namespace beryl::text {

class ExpressionParser {
 public:
  // Reads the tokens of `parsed`->source and puts literals and names into `parsed`, which outlives this.
  ExpressionParser(ParsedTemplate& parsed, std::vector<Token> tokens);

  // Where the reading is.
  const Token& current() const { return tokens_[index_]; }
  const Token& following() const;
  Token take();  // the current token; the next one becomes current
  bool at_operator(std::string_view text) const { return is(current(), TokenKind::kOperator, text); }
  bool at_name(std::string_view text) const { return is(current(), TokenKind::kName, text); }
  bool skip_operator(std::string_view text);
  bool skip_name(std::string_view text);
  void expect_operator(std::string_view text);
  void expect_name(std::string_view text);
  Token expect(TokenKind kind, std::string_view description);

  // Errors of the template's author: kInvalidInput with the place.
  [[noreturn]] void fail(Position position, std::string_view message) const;
  [[noreturn]] void fail_unexpected(std::string_view expected) const;

  ExpressionPtr parse_expression();
  // Also `a, b`, a tuple without brackets.
  ExpressionPtr parse_tuple();
  // Without the inline if: what follows `in` in a for.
  ExpressionPtr parse_iterable();
  // name | name(...) | ..., after the first bar or name.
  std::vector<FilterStep> parse_filter_steps();
  CallArguments parse_arguments();

  Symbol symbol_of(std::string_view name);
  Value string_literal(std::string_view text);
  // How often `loop` was named so far.
  int loop_uses() const { return loop_uses_; }

 private:
  using Parse = ExpressionPtr (ExpressionParser::*)();

  static bool is(const Token& token, TokenKind kind, std::string_view text) {
    return token.kind == kind && token.text == text;
  }

  template <typename Node>
  ExpressionPtr make(Position position, Node node);
  ExpressionPtr make_binary(Position position, BinaryOperator op, ExpressionPtr left, ExpressionPtr right);

  ExpressionPtr parse_tuple_of(Parse parse_item);
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_comparison();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concatenation();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary();
  ExpressionPtr parse_signed();
  ExpressionPtr parse_primary();
  ExpressionPtr parse_brackets();
  ExpressionPtr parse_list();
  ExpressionPtr parse_map();
  ExpressionPtr parse_strings();
  ExpressionPtr parse_name();
  ExpressionPtr parse_postfix(ExpressionPtr object);
  ExpressionPtr parse_attribute(ExpressionPtr object);
  ExpressionPtr parse_subscript(ExpressionPtr object);
  ExpressionPtr parse_call(ExpressionPtr callee);
  ExpressionPtr parse_filters(ExpressionPtr input);
  ExpressionPtr parse_test(ExpressionPtr input);
  FilterStep parse_filter_step();
  bool is_tuple_end() const;

  ParsedTemplate& parsed_;
  std::vector<Token> tokens_;
  size_t index_ = 0;
  int depth_ = 0;  // of parse_expression() within itself
  int loop_uses_ = 0;
  std::unordered_map<std::string_view, Symbol> symbols_;
};

}  // namespace beryl::text
