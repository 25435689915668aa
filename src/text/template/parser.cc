#include "text/template/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "text/template/expression_parser.h"
#include "text/template/limits.h"

// Blocks are read by recursive descent, bounded by kBlockDepthMax.

// NOLINTBEGIN(misc-no-recursion)

namespace beryl::text {
namespace {

class StatementParser {
 public:
  StatementParser(ParsedTemplate& parsed, std::vector<Token> tokens) : tokens_(parsed, std::move(tokens)) {}

  Block parse_all() {
    Block body = parse_block({}, tokens_.current());
    return body;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  bool at_any(Names names) const {
    return std::any_of(names.begin(), names.end(),
                       [this](std::string_view name) { return tokens_.at_name(name); });
  }

  // Statements up to "{%" and one of `end_names`, which becomes the current token; up to the end of the
  // source when there are none. `opener` is the word that opens the block, for errors.
  Block parse_block(Names end_names, const Token& opener) {
    if (++depth_ > kBlockDepthMax) {
      tokens_.fail(opener.position, fmt::format("blocks nested deeper than {}", kBlockDepthMax));
    }
    Block body;
    while (true) {
      const Token token = tokens_.take();
      if (token.kind == TokenKind::kText) {
        body.push_back({token.position, TextStatement{MarkedText(token.text, Origin::kTemplate)}});
      } else if (token.kind == TokenKind::kVariableBegin) {
        OutputStatement output{tokens_.parse_tuple()};
        const Position place = output.value->position;
        tokens_.expect(TokenKind::kVariableEnd, "'}}'");
        body.push_back({place, std::move(output)});
      } else if (token.kind == TokenKind::kBlockBegin) {
        if (at_any(end_names)) break;
        parse_statement(body);
      } else if (end_names.size() == 0) {
        break;
      } else {
        tokens_.fail(opener.position,
                     fmt::format("{} is not closed: expected {{% {} %}} before the end of the template",
                                 quote(opener.text), *(end_names.end() - 1)));
      }
    }
    --depth_;
    return body;
  }

  // The same, and goes past the end of the block, which can only be `end_name`.
  Block parse_body(std::string_view end_name, const Token& opener) {
    tokens_.expect(TokenKind::kBlockEnd, "'%}'");
    Block body = parse_block({end_name}, opener);
    tokens_.take();
    tokens_.expect(TokenKind::kBlockEnd, "'%}'");
    return body;
  }

  void parse_statement(Block& body) {
    const Token name = tokens_.expect(TokenKind::kName, "a statement");
    if (name.text == "if") return body.push_back({name.position, parse_if(name)});
    if (name.text == "for") return body.push_back({name.position, parse_for(name)});
    if (name.text == "set") return body.push_back(parse_set(name));
    if (name.text == "macro") return body.push_back({name.position, parse_macro(name)});
    if (name.text == "call") return body.push_back({name.position, parse_call_block(name)});
    if (name.text == "with") return body.push_back({name.position, parse_with(name)});
    if (name.text == "filter") return body.push_back({name.position, parse_filter_block(name)});
    if (name.text == "generation") {
      return body.push_back({name.position, ScopeStatement{{}, parse_body("endgeneration", name)}});
    }
    if (name.text == "break" || name.text == "continue") {
      if (loop_depth_ == 0)
        tokens_.fail(name.position, fmt::format("{} outside of a loop", quote(name.text)));
      tokens_.expect(TokenKind::kBlockEnd, "'%}'");
      if (name.text == "break") return body.push_back({name.position, BreakStatement{}});
      return body.push_back({name.position, ContinueStatement{}});
    }
    constexpr std::string_view kLoading[] = {"include", "import", "from", "extends", "block"};
    if (std::find(std::begin(kLoading), std::end(kLoading), name.text) != std::end(kLoading)) {
      tokens_.fail(name.position,
                   fmt::format("{} is not supported: a chat template stands alone", quote(name.text)));
    }
    tokens_.fail(name.position, "unknown statement " + quote(name.text));
  }

  IfStatement parse_if(const Token& opener) {
    IfStatement statement;
    while (true) {
      ExpressionPtr condition = tokens_.parse_tuple();
      tokens_.expect(TokenKind::kBlockEnd, "'%}'");
      Block body = parse_block({"elif", "else", "endif"}, opener);
      statement.branches.push_back({std::move(condition), std::move(body)});
      if (!tokens_.skip_name("elif")) break;
    }
    if (tokens_.at_name("else")) {
      const Token other = tokens_.take();
      tokens_.expect(TokenKind::kBlockEnd, "'%}'");
      statement.otherwise = parse_block({"endif"}, other);
    }
    tokens_.take();
    tokens_.expect(TokenKind::kBlockEnd, "'%}'");
    return statement;
  }

  ForStatement parse_for(const Token& opener) {
    ForStatement statement;
    statement.target = parse_target();
    tokens_.expect_name("in");
    statement.iterable = tokens_.parse_iterable();
    if (tokens_.skip_name("if")) statement.filter = tokens_.parse_expression();
    if (tokens_.at_name("recursive"))
      tokens_.fail(tokens_.current().position, "recursive loops are not supported");
    tokens_.expect(TokenKind::kBlockEnd, "'%}'");
    statement.loop_symbol = tokens_.symbol_of("loop");
    const int loop_uses = tokens_.loop_uses();
    ++loop_depth_;
    statement.body = parse_block({"else", "endfor"}, opener);
    --loop_depth_;
    statement.uses_loop = tokens_.loop_uses() != loop_uses;
    if (tokens_.at_name("else")) {
      const Token other = tokens_.take();
      tokens_.expect(TokenKind::kBlockEnd, "'%}'");
      statement.otherwise = parse_block({"endfor"}, other);
    }
    tokens_.take();
    tokens_.expect(TokenKind::kBlockEnd, "'%}'");
    return statement;
  }

  Target parse_target() {
    Target target;
    const bool has_brackets = tokens_.skip_operator("(");
    target.names.push_back(parse_target_name());
    while (tokens_.skip_operator(",")) {
      target.unpacks = true;
      if (tokens_.current().kind != TokenKind::kName || tokens_.at_name("in")) break;
      target.names.push_back(parse_target_name());
    }
    if (has_brackets) tokens_.expect_operator(")");
    return target;
  }

  TargetName parse_target_name() {
    const Token name = tokens_.expect(TokenKind::kName, "a variable's name");
    constexpr std::string_view kReserved[] = {"true", "false", "none", "True", "False", "None"};
    if (std::find(std::begin(kReserved), std::end(kReserved), name.text) != std::end(kReserved)) {
      tokens_.fail(name.position, "cannot assign to " + quote(name.text));
    }
    TargetName target{tokens_.symbol_of(name.text), Value()};
    if (tokens_.skip_operator(".")) {
      target.attribute = tokens_.string_literal(tokens_.expect(TokenKind::kName, "an attribute's name").text);
    }
    return target;
  }

  Statement parse_set(const Token& opener) {
    Target target = parse_target();
    if (tokens_.skip_operator("=")) {
      SetStatement statement{std::move(target), tokens_.parse_tuple()};
      tokens_.expect(TokenKind::kBlockEnd, "'%}'");
      return {opener.position, std::move(statement)};
    }
    SetBlockStatement statement{std::move(target), {}, {}};
    if (tokens_.skip_operator("|")) statement.filters = tokens_.parse_filter_steps();
    statement.body = parse_body("endset", opener);
    return {opener.position, std::move(statement)};
  }

  // The names and defaults between the brackets of a macro.
  void parse_parameters(MacroStatement& macro) {
    tokens_.expect_operator("(");
    while (!tokens_.at_operator(")")) {
      const Token name = tokens_.expect(TokenKind::kName, "a parameter's name");
      ExpressionPtr fallback;
      if (tokens_.skip_operator("=")) {
        fallback = tokens_.parse_expression();
      } else if (!macro.parameters.empty() && macro.parameters.back().fallback != nullptr) {
        tokens_.fail(name.position, "a parameter without a default follows one with a default");
      }
      macro.parameters.push_back({tokens_.symbol_of(name.text), name.text, std::move(fallback)});
      if (!tokens_.at_operator(")")) tokens_.expect_operator(",");
    }
    tokens_.take();
  }

  // A body in which the loops around it cannot be left.
  Block parse_macro_body(std::string_view end_name, const Token& opener) {
    const int loop_depth = std::exchange(loop_depth_, 0);
    Block body = parse_body(end_name, opener);
    loop_depth_ = loop_depth;
    return body;
  }

  MacroStatement parse_macro(const Token& opener) {
    const Token name = tokens_.expect(TokenKind::kName, "the macro's name");
    MacroStatement macro;
    macro.symbol = tokens_.symbol_of(name.text);
    macro.caller_symbol = tokens_.symbol_of("caller");
    macro.name = name.text;
    parse_parameters(macro);
    macro.body = parse_macro_body("endmacro", opener);
    return macro;
  }

  CallStatement parse_call_block(const Token& opener) {
    CallStatement statement;
    statement.caller.symbol = statement.caller.caller_symbol = tokens_.symbol_of("caller");
    statement.caller.name = "caller";
    if (tokens_.at_operator("(")) parse_parameters(statement.caller);
    statement.call = tokens_.parse_expression();
    if (!std::holds_alternative<Call>(statement.call->node)) {
      tokens_.fail(statement.call->position, "expected a call");
    }
    statement.caller.body = parse_macro_body("endcall", opener);
    return statement;
  }

  ScopeStatement parse_with(const Token& opener) {
    ScopeStatement statement;
    while (tokens_.current().kind != TokenKind::kBlockEnd) {
      if (!statement.variables.empty()) tokens_.expect_operator(",");
      Target target = parse_target();
      tokens_.expect_operator("=");
      statement.variables.emplace_back(std::move(target), tokens_.parse_expression());
    }
    statement.body = parse_body("endwith", opener);
    return statement;
  }

  FilterStatement parse_filter_block(const Token& opener) {
    FilterStatement statement;
    statement.filters = tokens_.parse_filter_steps();
    statement.body = parse_body("endfilter", opener);
    return statement;
  }

  ExpressionParser tokens_;
  int depth_ = 0;
  int loop_depth_ = 0;  // loops around the statement being read, within its macro
};

}  // namespace

std::unique_ptr<const ParsedTemplate> parse_template(std::string_view source, std::string name) {
  if (source.size() > kTemplateBytesMax) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: a template of {} bytes, at most {} are supported",
                                                      name, source.size(), kTemplateBytesMax));
  }
  // Literals are copied from the source; escapes never make them longer by more than a constant factor, and
  // each has a header.
  constexpr uint64_t kArenaBytesMax = uint64_t{128} * kTemplateBytesMax;
  auto parsed =
      std::make_unique<ParsedTemplate>(std::move(name), normalize_line_ends(source), kArenaBytesMax);
  StatementParser parser(*parsed, parse_tokens(parsed->source, parsed->name));
  parsed->body = parser.parse_all();
  return parsed;
}

}  // namespace beryl::text

// NOLINTEND(misc-no-recursion)
