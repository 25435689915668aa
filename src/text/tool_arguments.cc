#include "text/tool_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace beryl::text {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view without_trailing_space(std::string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

void append_escaped(char c, std::string& json) {
  switch (c) {
    case '"':
      json += "\\\"";
      return;
    case '\\':
      json += "\\\\";
      return;
    case '\n':
      json += "\\n";
      return;
    case '\r':
      json += "\\r";
      return;
    case '\t':
      json += "\\t";
      return;
    default:
      if (static_cast<unsigned char>(c) < 0x20) {
        json += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      } else {
        json += c;
      }
  }
}

void append_string(std::string_view text, std::string& json) {
  json += '"';
  for (const char c : text) append_escaped(c, json);
  json += '"';
}

size_t skip_digits(std::string_view text, size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

// Whether `text` is a number as JSON writes it.
bool is_json_number(std::string_view text) {
  size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
  const size_t integer = at;
  at = skip_digits(text, at);
  if (at == integer || (text[integer] == '0' && at > integer + 1)) return false;
  if (at < text.size() && text[at] == '.') {
    const size_t fraction = at + 1;
    at = skip_digits(text, fraction);
    if (at == fraction) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const size_t exponent = at;
    at = skip_digits(text, exponent);
    if (at == exponent) return false;
  }
  return at == text.size();
}

// The JSON of true, false, null and its synonyms; empty for any other word.
std::string_view find_literal(std::string_view word) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kLiterals{
      {{"true", "true"}, {"false", "false"}, {"null", "null"}, {"none", "null"}, {"nil", "null"}}};
  const auto equals_without_case = [](char lower, char any) {
    return lower == (any >= 'A' && any <= 'Z' ? static_cast<char>(any + ('a' - 'A')) : any);
  };
  for (const auto& [spelling, json] : kLiterals) {
    if (std::equal(spelling.begin(), spelling.end(), word.begin(), word.end(), equals_without_case))
      return json;
  }
  return {};
}

}  // namespace

ToolArguments::ToolArguments() : open_brackets_{'{'}, json_("{") {}

std::string ToolArguments::take_json() {
  return std::exchange(json_, {});
}

size_t ToolArguments::push_text(std::string_view text) {
  BERYL_CHECK(state_ == State::kOpen);
  for (size_t i = 0; i < text.size(); ++i) {
    if (!push_character(text[i])) {
      fail();
      return i;
    }
    if (state_ != State::kOpen) return i + 1;
  }
  return text.size();
}

void ToolArguments::push_quote() {
  BERYL_CHECK(state_ == State::kOpen);
  switch (expected_) {
    case Expected::kKey:
      begin_item();
      json_ += '"';
      expected_ = Expected::kQuotedKey;
      return;
    case Expected::kQuotedKey:
      json_ += '"';
      expected_ = Expected::kColon;
      return;
    case Expected::kValue:
      begin_value();
      json_ += '"';
      expected_ = Expected::kString;
      return;
    case Expected::kString:
      json_ += '"';
      expected_ = Expected::kNext;
      return;
    case Expected::kBareKey:
    case Expected::kBareValue:
    case Expected::kColon:
    case Expected::kNext:
      fail();
  }
}

bool ToolArguments::push_character(char c) {
  switch (expected_) {
    case Expected::kKey:
      return push_at_key(c);
    case Expected::kBareKey:
      return push_in_bare_key(c);
    case Expected::kColon:
      if (c == ':') end_key();
      return c == ':' || is_space(c);
    case Expected::kValue:
      return push_at_value(c);
    case Expected::kBareValue:
      return push_in_bare_value(c);
    case Expected::kNext:
      return push_after_value(c);
    case Expected::kQuotedKey:
    case Expected::kString:
      append_escaped(c, json_);
      return true;
  }
  return false;
}

bool ToolArguments::push_at_key(char c) {
  if (is_space(c)) return true;
  if (c == '}') return close(c);
  bare_.clear();
  expected_ = Expected::kBareKey;
  return c != ':' && push_in_bare_key(c);
}

bool ToolArguments::push_in_bare_key(char c) {
  if (c == ':') {
    begin_item();
    append_string(without_trailing_space(bare_), json_);
    end_key();
    return true;
  }
  bare_ += c;
  return c != ',' && c != '{' && c != '}' && c != '[' && c != ']';
}

bool ToolArguments::push_at_value(char c) {
  if (is_space(c)) return true;
  if (c == '{' || c == '[') return open(c);
  if (c == ']' && open_brackets_.back() == '[') return close(c);
  bare_.clear();
  expected_ = Expected::kBareValue;
  return push_in_bare_value(c);
}

bool ToolArguments::push_in_bare_value(char c) {
  if (c != ',' && c != '}' && c != ']') {
    bare_ += c;
    return true;
  }
  end_bare_value();
  return push_after_value(c);
}

bool ToolArguments::push_after_value(char c) {
  if (is_space(c)) return true;
  if (c != ',') return close(c);
  expected_ = open_brackets_.back() == '{' ? Expected::kKey : Expected::kValue;
  return true;
}

bool ToolArguments::open(char bracket) {
  if (open_brackets_.size() == kDepthMax) return false;
  begin_value();
  json_ += bracket;
  open_brackets_.push_back(bracket);
  needs_comma_ = false;
  expected_ = bracket == '{' ? Expected::kKey : Expected::kValue;
  return true;
}

bool ToolArguments::close(char bracket) {
  if (bracket != (open_brackets_.back() == '{' ? '}' : ']')) return false;
  json_ += bracket;
  open_brackets_.pop_back();
  needs_comma_ = true;
  expected_ = Expected::kNext;
  if (open_brackets_.empty()) state_ = State::kComplete;
  return true;
}

void ToolArguments::begin_item() {
  if (needs_comma_) json_ += ',';
  needs_comma_ = true;
}

void ToolArguments::end_key() {
  json_ += ':';
  expected_ = Expected::kValue;
}

void ToolArguments::begin_value() {
  // In an object the key has brought the comma.
  if (open_brackets_.back() == '[') begin_item();
}

void ToolArguments::end_bare_value() {
  begin_value();
  const std::string_view word = without_trailing_space(bare_);
  if (const std::string_view literal = find_literal(word); !literal.empty()) {
    json_ += literal;
  } else if (is_json_number(word)) {
    json_ += word;
  } else {
    append_string(word, json_);
  }
  expected_ = Expected::kNext;
}

}  // namespace beryl::text
