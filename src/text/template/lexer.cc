#include "text/template/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/quote.h"
#include "text/template/unicode.h"

namespace beryl::text {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_name_character(char c) {
  return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

Position position_after(Position position, std::string_view text) {
  for (const char c : text) {
    position = c == '\n' ? Position{position.line + 1, 1} : Position{position.line, position.column + 1};
  }
  return position;
}

std::string_view without_trailing_space(std::string_view text) {
  while (!text.empty()) {
    const Character last = character_before(text, text.size());
    if (!is_white_space(last.code)) break;
    text.remove_suffix(last.byte_count);
  }
  return text;
}

class Lexer {
 public:
  Lexer(std::string_view source, std::string_view name) : source_(source), name_(name) {}

  std::vector<Token> run() {
    while (offset_ < source_.size()) read_outside();
    add(TokenKind::kEnd, offset_, offset_);
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(size_t offset, std::string_view message) const {
    const Position position = position_after({}, source_.substr(0, offset));
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", place_text(name_, position), message));
  }

  // Tokens are added in the order of the source, so positions are counted on from one to the next.
  void add(TokenKind kind, size_t begin, size_t end) {
    position_ = position_after(position_, source_.substr(counted_, begin - counted_));
    counted_ = begin;
    tokens_.push_back({kind, source_.substr(begin, end - begin), position_});
  }

  bool at(size_t offset, std::string_view text) const { return source_.substr(offset).starts_with(text); }

  // The sign of white space control at `offset`, or 0.
  char sign_at(size_t offset) const {
    return offset < source_.size() && (source_[offset] == '-' || source_[offset] == '+') ? source_[offset]
                                                                                         : '\0';
  }

  size_t skip_space(size_t offset) const {
    while (offset < source_.size()) {
      const Character character = character_at(source_, offset);
      if (!is_white_space(character.code)) break;
      offset += character.byte_count;
    }
    return offset;
  }

  // Text up to the next brace pair, then what that pair opens.
  void read_outside() {
    size_t open = source_.find('{', offset_);
    while (open != std::string_view::npos && !at(open, "{{") && !at(open, "{%") && !at(open, "{#")) {
      open = source_.find('{', open + 1);
    }
    if (open == std::string_view::npos) {
      add_text(offset_, source_.size());
      offset_ = source_.size();
      return;
    }
    const bool is_variable = source_[open + 1] == '{';
    add_text(offset_, end_of_text(offset_, open, sign_at(open + 2), is_variable));
    offset_ = open + 2 + (sign_at(open + 2) != '\0' ? 1 : 0);
    if (source_[open + 1] == '#') {
      read_comment(open);
    } else if (is_variable) {
      add(TokenKind::kVariableBegin, open, offset_);
      read_inside(open, TokenKind::kVariableEnd, "}}");
    } else if (!read_raw_block(open)) {
      add(TokenKind::kBlockBegin, open, offset_);
      read_inside(open, TokenKind::kBlockEnd, "%}");
    }
  }

  void add_text(size_t begin, size_t end) {
    if (begin < end) add(TokenKind::kText, begin, end);
  }

  // Where the text [begin, open) ends once the sign of the brace pair behind it has its effect: '-' strips
  // all white space; without a sign, a block or comment that stands first in its line takes the indentation
  // away.
  size_t end_of_text(size_t begin, size_t open, char sign, bool is_variable) const {
    const std::string_view text = source_.substr(begin, open - begin);
    if (sign == '-') return begin + without_trailing_space(text).size();
    if (sign == '+' || is_variable) return open;
    const size_t newline = text.rfind('\n');
    const bool has_line_start = newline != std::string_view::npos;
    if (!has_line_start && begin > 0 && source_[begin - 1] != '\n') return open;
    const size_t line = has_line_start ? newline + 1 : 0;
    return without_trailing_space(text.substr(line)).empty() ? begin + line : open;
  }

  // `offset` is behind a closing "%}" or "#}" whose sign was `sign`.
  size_t skip_after_close(size_t offset, char sign) const {
    if (sign == '-') return skip_space(offset);
    return sign == '\0' && at(offset, "\n") ? offset + 1 : offset;
  }

  void read_comment(size_t open) {
    const size_t close = source_.find("#}", offset_);
    if (close == std::string_view::npos) fail(open, "this comment is never closed with #}");
    const char sign = close > offset_ ? sign_at(close - 1) : '\0';
    offset_ = skip_after_close(close + 2, sign);
  }

  // {% raw %} ... {% endraw %}, whose contents are text. False when there is no raw block at `open`.
  bool read_raw_block(size_t open) {
    size_t begin = skip_space(offset_);
    if (!at(begin, "raw")) return false;
    begin = skip_space(begin + 3);
    const bool strips = sign_at(begin) == '-' && at(begin + 1, "%}");
    if (!strips && !at(begin, "%}")) return false;
    begin = strips ? skip_space(begin + 3) : begin + 2;
    for (size_t close = source_.find("{%", begin); close != std::string_view::npos;
         close = source_.find("{%", close + 2)) {
      const char sign = sign_at(close + 2);
      size_t end = skip_space(close + 2 + (sign != '\0' ? 1 : 0));
      if (!at(end, "endraw")) continue;
      end = skip_space(end + 6);
      const char end_sign = sign_at(end);
      if (end_sign != '\0') ++end;
      if (!at(end, "%}")) continue;
      add_text(begin, end_of_text(begin, close, sign, false));
      offset_ = skip_after_close(end + 2, end_sign);
      return true;
    }
    fail(open, "this raw block is never closed with {% endraw %}");
  }

  // Tokens up to and including `close`, which is "}}" or "%}".
  void read_inside(size_t open, TokenKind close_kind, std::string_view close) {
    brackets_.clear();
    while (true) {
      offset_ = skip_space(offset_);
      if (offset_ >= source_.size()) fail(open, fmt::format("this is never closed with {}", close));
      if (brackets_.empty()) {
        const char sign = sign_at(offset_);
        const bool has_sign = sign == '-' || (sign == '+' && close_kind == TokenKind::kBlockEnd);
        const size_t end = offset_ + (has_sign ? 1 : 0);
        if (at(end, close)) {
          add(close_kind, offset_, end + 2);
          const bool is_block = close_kind == TokenKind::kBlockEnd;
          offset_ = is_block || has_sign ? skip_after_close(end + 2, has_sign ? sign : '\0') : end + 2;
          return;
        }
      }
      read_token();
    }
  }

  void read_token() {
    const char c = source_[offset_];
    if (is_digit(c)) {
      read_number();
    } else if (is_name_character(c)) {
      size_t end = offset_ + 1;
      while (end < source_.size() && is_name_character(source_[end])) ++end;
      take(TokenKind::kName, end);
    } else if (c == '"' || c == '\'') {
      read_string(c);
    } else {
      read_operator();
    }
  }

  void take(TokenKind kind, size_t end) {
    add(kind, offset_, end);
    offset_ = end;
  }

  void read_string(char quote) {
    size_t end = offset_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? size_t{2} : size_t{1};
    if (end >= source_.size()) fail(offset_, "this string has no closing quote");
    take(TokenKind::kString, end + 1);
  }

  size_t skip_digits(size_t offset, bool (*is_wanted)(char)) const {
    while (offset < source_.size() &&
           (is_wanted(source_[offset]) ||
            (source_[offset] == '_' && offset + 1 < source_.size() && is_wanted(source_[offset + 1])))) {
      ++offset;
    }
    return offset;
  }

  void read_number() {
    if (source_[offset_] == '0' && offset_ + 2 < source_.size()) {
      const char base = static_cast<char>(source_[offset_ + 1] | 0x20);
      const auto is_hex = [](char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); };
      const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
      const auto is_binary = [](char c) { return c == '0' || c == '1'; };
      size_t end = offset_ + 2;
      if (base == 'x') end = skip_digits(end, is_hex);
      if (base == 'o') end = skip_digits(end, is_octal);
      if (base == 'b') end = skip_digits(end, is_binary);
      if (end > offset_ + 2) return take(TokenKind::kInteger, end);
    }
    size_t end = skip_digits(offset_, is_digit);
    TokenKind kind = TokenKind::kInteger;
    if (at(end, ".") && end + 1 < source_.size() && is_digit(source_[end + 1])) {
      end = skip_digits(end + 1, is_digit);
      kind = TokenKind::kFloat;
    }
    if (end < source_.size() && (source_[end] | 0x20) == 'e') {
      const size_t digits = end + 1 + (sign_at(end + 1) != '\0' ? size_t{1} : size_t{0});
      if (digits < source_.size() && is_digit(source_[digits])) {
        end = skip_digits(digits, is_digit);
        kind = TokenKind::kFloat;
      }
    }
    take(kind, end);
  }

  void read_operator() {
    constexpr std::array<std::string_view, 27> kOperators = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]",
        "(",  ")",  "{",  "}",  ">",  "<",  "=", ".", ":", "|", ",", ";", "!"};
    const auto* const found = std::find_if(kOperators.begin(), kOperators.end(),
                                           [this](std::string_view text) { return at(offset_, text); });
    if (found == kOperators.end()) {
      fail(offset_, "unexpected character " +
                        quote(source_.substr(offset_, character_at(source_, offset_).byte_count)));
    }
    if (*found == "(" || *found == "[" || *found == "{")
      brackets_ += *found == "(" ? ')' : *found == "[" ? ']' : '}';
    if (*found == ")" || *found == "]" || *found == "}") {
      if (brackets_.empty()) fail(offset_, fmt::format("unexpected '{}'", *found));
      if (brackets_.back() != found->front()) {
        fail(offset_, fmt::format("unexpected '{}', expected '{}'", *found, brackets_.back()));
      }
      brackets_.pop_back();
    }
    take(TokenKind::kOperator, offset_ + found->size());
  }

  std::string_view source_;
  std::string_view name_;
  size_t offset_ = 0;
  std::vector<Token> tokens_;
  std::string brackets_;  // the closing ones that are still to come
  Position position_;     // of byte counted_
  size_t counted_ = 0;
};

}  // namespace

std::string normalize_line_ends(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      result += source[i];
      continue;
    }
    result += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (result.ends_with('\n')) result.pop_back();
  return result;
}

std::vector<Token> parse_tokens(std::string_view source, std::string_view name) {
  return Lexer(source, name).run();
}

std::string place_text(std::string_view name, Position position) {
  return fmt::format("{}:{}:{}", name, position.line, position.column);
}

}  // namespace beryl::text
