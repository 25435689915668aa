// The first step of reading a template: source text to tokens, with Jinja's white space control.
//
// Settings are those of Hugging Face chat templates: trim_blocks and lstrip_blocks on, a newline at the very
// end dropped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace beryl::text {

// Of a character in the source; both count from 1, columns in bytes.
struct Position {
  uint32_t line = 1;
  uint32_t column = 1;
};

enum class TokenKind : uint8_t {
  kText,           // outside of all braces, white space control applied
  kVariableBegin,  // {{
  kVariableEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,   // `text` still has its quotes and escapes
  kInteger,  // `text` as written
  kFloat,
  kOperator,  // also brackets and punctuation
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string_view text;  // points into the source
  Position position;
};

// `source` with every kind of line end made \n and one line end at the very end dropped: what
// parse_tokens() expects.
std::string normalize_line_ends(std::string_view source);

// The tokens of `source`, the last one kEnd. Comments and the contents of raw blocks are resolved here.
// `name` stands for the template in errors. Errors: kInvalidInput with the position.
std::vector<Token> parse_tokens(std::string_view source, std::string_view name);

// "name:line:column".
std::string place_text(std::string_view name, Position position);

}  // namespace beryl::text
