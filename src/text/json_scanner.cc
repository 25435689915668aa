#include "text/json_scanner.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/utf8.h"

namespace beryl::text {
namespace {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr bool ends_plain_run(char c) {
  return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
}

constexpr bool ends_scalar(char c) {
  return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

}  // namespace

void JsonScanner::fail(std::string_view message) const {
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{}: not valid at byte {}: {}", source_, position_, message));
}

void JsonScanner::skip_white_space() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return;
    ++position_;
  }
}

char JsonScanner::peek() {
  skip_white_space();
  return position_ < text_.size() ? text_[position_] : '\0';
}

bool JsonScanner::consume(char punctuation) {
  if (peek() != punctuation || position_ == text_.size()) return false;
  ++position_;
  return true;
}

void JsonScanner::expect(char punctuation) {
  if (!consume(punctuation)) fail(fmt::format("expected '{}'", punctuation));
}

bool JsonScanner::has_more(char closer) {
  if (consume(',')) return true;
  if (consume(closer)) return false;
  fail(fmt::format("expected ',' or '{}'", closer));
}

void JsonScanner::expect_end() {
  peek();
  if (position_ != text_.size()) fail("expected the end of the text");
}

std::string_view JsonScanner::read_string() {
  expect('"');
  size_t run_begin = position_;
  last_string_is_in_text_ = true;
  while (true) {
    while (position_ < text_.size() && !ends_plain_run(text_[position_])) ++position_;
    if (position_ == text_.size()) fail("the string has no end");
    const std::string_view run = text_.substr(run_begin, position_ - run_begin);
    const char c = text_[position_];
    if (c == '"' && last_string_is_in_text_) {
      ++position_;
      return run;
    }
    if (last_string_is_in_text_) unescaped_.clear();
    last_string_is_in_text_ = false;
    unescaped_.append(run);
    if (c == '"') {
      ++position_;
      return unescaped_;
    }
    if (c != '\\') fail("control character in a string");
    ++position_;
    append_escape();
    run_begin = position_;
  }
}

void JsonScanner::append_escape() {
  if (position_ == text_.size()) fail("the string has no end");
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
  const char name = text_[position_++];
  if (const size_t index = kNames.find(name); index != std::string_view::npos) {
    unescaped_.push_back(kValues[index]);
    return;
  }
  if (name != 'u') fail("unknown escape in a string");
  uint32_t value = read_four_hex_digits();
  if (value >= 0xDC00 && value < 0xE000) fail("unpaired surrogate");
  if (value >= 0xD800 && value < 0xDC00) {
    if (text_.substr(position_, 2) != "\\u") fail("unpaired surrogate");
    position_ += 2;
    const uint32_t low = read_four_hex_digits();
    if (low < 0xDC00 || low >= 0xE000) fail("unpaired surrogate");
    value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(unescaped_, value);
}

uint32_t JsonScanner::read_four_hex_digits() {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = position_ < text_.size() ? text_[position_] : '\0';
    uint32_t digit = 0;
    if (is_digit(c)) {
      digit = static_cast<uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<uint32_t>(c - 'a') + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<uint32_t>(c - 'A') + 10;
    } else {
      fail("expected four hexadecimal digits");
    }
    value = value << 4 | digit;
    ++position_;
  }
  return value;
}

int32_t JsonScanner::read_index() {
  if (!is_digit(peek())) fail("expected an integer of 0 or more");
  const size_t begin = position_;
  int64_t value = 0;
  while (position_ < text_.size() && is_digit(text_[position_])) {
    value = value * 10 + (text_[position_] - '0');
    if (value > INT32_MAX) fail("the integer is too large");
    ++position_;
  }
  if (text_[begin] == '0' && position_ - begin > 1) fail("the integer has a leading zero");
  if (position_ < text_.size() && !ends_scalar(text_[position_])) fail("expected an integer of 0 or more");
  return static_cast<int32_t>(value);
}

void JsonScanner::skip_string() {
  expect('"');
  while (position_ < text_.size() && text_[position_] != '"') {
    position_ += text_[position_] == '\\' ? size_t{2} : size_t{1};
  }
  if (position_ >= text_.size()) {
    position_ = text_.size();
    fail("the string has no end");
  }
  ++position_;
}

std::string_view JsonScanner::skip_value() {
  peek();
  const size_t begin = position_;
  size_t depth = 0;
  do {
    const char c = peek();
    if (position_ == text_.size()) fail("the value has no end");
    if (c == '"') {
      skip_string();
    } else if (c == '{' || c == '[') {
      ++depth;
      ++position_;
    } else if (c == '}' || c == ']') {
      if (depth == 0) fail("expected a value");
      --depth;
      ++position_;
    } else if (c == ',' || c == ':') {
      if (depth == 0) fail("expected a value");
      ++position_;
    } else {
      while (position_ < text_.size() && !ends_scalar(text_[position_]) && text_[position_] != ':')
        ++position_;
    }
  } while (depth > 0);
  return text_.substr(begin, position_ - begin);
}

}  // namespace beryl::text
