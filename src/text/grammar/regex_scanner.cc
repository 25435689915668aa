#include "text/grammar/regex_scanner.h"

#include <fmt/format.h>

#include "base/quote.h"
#include "text/utf8.h"

namespace beryl::text::grammar {
namespace {

constexpr char32_t kLast = 0x10FFFF;
constexpr CharRange kAscii{0, 0x7F};

CharSet digits() {
  return {{'0', '9'}};
}
CharSet word_characters() {
  return {{'a', 'z'}, {'A', 'Z'}, {'0', '9'}, {'_', '_'}};
}
CharSet ascii_spaces() {
  return {{0x09, 0x0D}, {' ', ' '}};
}
// Those of ECMAScript and of Python.
CharSet all_spaces() {
  return {{0x09, 0x0D},     {0x1C, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},
          {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
          {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
}
bool is_letter_or_digit(char32_t c) {
  return c <= 0x7F && word_characters().contains(c) && c != '_';
}

}  // namespace

RegexScanner::RegexScanner(std::string_view pattern, Budget& budget) : pattern_(pattern), budget_(budget) {
  if (const auto offset = find_invalid_utf8(pattern)) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("the regular expression is not valid UTF-8 at byte {}", *offset));
  }
}

void RegexScanner::fail(ErrorCode code, std::string_view message) const {
  throw Error(code, fmt::format("regular expression {}: {} at byte {}", quote(pattern_), message, at_));
}

char32_t RegexScanner::peek() const {
  return at_end() ? 0 : read_utf8(pattern_, at_).value;
}

bool RegexScanner::consume(char c) {
  if (at_end() || pattern_[at_] != c) return false;
  ++at_;
  return true;
}

bool RegexScanner::consume_text(std::string_view text) {
  if (!pattern_.substr(at_).starts_with(text)) return false;
  at_ += text.size();
  return true;
}

char32_t RegexScanner::take() {
  if (at_end()) fail(ErrorCode::kInvalidInput, "the end comes too early");
  const Utf8Character character = read_utf8(pattern_, at_);
  at_ += character.byte_count;
  return character.value;
}

std::optional<uint32_t> RegexScanner::take_number() {
  std::optional<uint32_t> number;
  while (!at_end() && pattern_[at_] >= '0' && pattern_[at_] <= '9') {
    const uint64_t next = uint64_t{number.value_or(0)} * 10 + static_cast<uint64_t>(pattern_[at_] - '0');
    if (next >= (uint64_t{1} << 31)) fail(ErrorCode::kInvalidInput, "the number is too large");
    number = static_cast<uint32_t>(next);
    ++at_;
  }
  return number;
}

char32_t RegexScanner::take_hex(size_t digit_count) {
  char32_t value = 0;
  for (size_t i = 0; i < digit_count; ++i) {
    const char32_t c = take();
    if (c >= '0' && c <= '9') {
      value = value * 16 + (c - '0');
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      value = value * 16 + ((c | 0x20) - 'a' + 10);
    } else {
      fail(ErrorCode::kInvalidInput, "expected a hexadecimal digit before the character");
    }
  }
  return value;
}

std::optional<CharSet> RegexScanner::find_shorthand(char32_t c) {
  const CharSet ascii{kAscii};
  switch (c) {
    case 'd':
      return digits();
    case 'w':
      return word_characters();
    case 's':
      return ascii_spaces();
    case 'D':
      return ascii.without(digits());
    case 'W':
      return ascii.without(word_characters());
    case 'S':
      return all_spaces().complement();
    default:
      return std::nullopt;
  }
}

char32_t RegexScanner::take_character_escape(char32_t c) {
  char32_t value = 0;
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case '0':
      return 0;
    case 'x':
      return take_hex(2);
    case 'c':
      value = take();
      if (!is_letter_or_digit(value)) fail(ErrorCode::kInvalidInput, "\\c without a letter");
      return value & 0x1F;
    case 'u':
      if (!consume('{')) {
        value = take_hex(4);
        // Two escapes may write one character as a surrogate pair.
        if (value >= 0xD800 && value <= 0xDBFF && consume_text("\\u")) {
          value = 0x10000 + ((value & 0x3FF) << 10) + (take_hex(4) & 0x3FF);
        }
      } else {
        while (!consume('}')) value = ((value & 0xFFFFF) << 4) | take_hex(1);
      }
      if (value > kLast || (value >= 0xD800 && value <= 0xDFFF)) {
        fail(ErrorCode::kInvalidInput, "the escape is no Unicode character");
      }
      return value;
    default:
      break;
  }
  if (c >= '1' && c <= '9') fail(ErrorCode::kUnsupported, "back-references are not supported");
  if (is_letter_or_digit(c)) {
    fail(ErrorCode::kUnsupported, fmt::format("\\{} is not supported", static_cast<char>(c)));
  }
  return c;
}

CharSet RegexScanner::take_escape() {
  const char32_t c = take();
  if (const auto set = find_shorthand(c)) return *set;
  if (c == 'b' || c == 'B') fail(ErrorCode::kUnsupported, "word boundaries are not supported");
  const char32_t value = take_character_escape(c);
  return {{value, value}};
}

std::optional<char32_t> RegexScanner::take_class_item(Class& result) {
  const char32_t c = take();
  if (c != '\\') return c;
  const char32_t escaped = take();
  if (const auto shorthand = find_shorthand(escaped)) {
    if (escaped != 's' && escaped != 'S') {
      result.keeps_to_ascii = true;
      result.characters.add(*shorthand);
    } else if (!result.is_complement) {
      result.characters.add(*shorthand);
    } else {
      // What is left out must be left out in all dialects.
      result.characters.add(escaped == 's' ? all_spaces() : ascii_spaces().complement());
    }
    return std::nullopt;
  }
  if (escaped == 'b') return '\b';
  return take_character_escape(escaped);
}

CharSet RegexScanner::take_class() {
  Class result{.is_complement = consume('^')};
  if (peek() == ']')
    fail(ErrorCode::kUnsupported, "dialects differ about ']' at the start of a class: write '\\]'");
  while (!consume(']')) {
    budget_.check_time();
    if (peek() == '[') {
      // "[[:alpha:]]" and set operations of other dialects begin like this.
      fail(ErrorCode::kUnsupported, "dialects differ about '[' in a class: write '\\['");
    }
    const std::optional<char32_t> first = take_class_item(result);
    if (!first) continue;
    char32_t last = *first;
    const size_t before = at_;
    if (consume('-') && peek() != ']') {
      const std::optional<char32_t> end = take_class_item(result);
      if (!end) fail(ErrorCode::kInvalidInput, "a range ends with a class of characters");
      last = *end;
    } else {
      at_ = before;
    }
    if (last < *first) fail(ErrorCode::kInvalidInput, "a range runs backwards");
    result.characters.add(*first, last);
  }
  if (!result.is_complement) return result.characters;
  // What \d and \w mean beyond ASCII differs, so their complements stay within.
  return result.keeps_to_ascii ? CharSet{kAscii}.without(result.characters) : result.characters.complement();
}

}  // namespace beryl::text::grammar
