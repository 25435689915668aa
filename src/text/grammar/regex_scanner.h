// The smallest parts of regular expressions: characters, escapes and classes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "text/grammar/char_set.h"
#include "text/grammar/limits.h"

namespace beryl::text::grammar {

// Reads a pattern from front to back. Errors: kInvalidInput and kUnsupported with pattern and byte.
class RegexScanner {
 public:
  // `pattern` and `budget` outlive the scanner. Errors: kInvalidInput when it is not valid UTF-8.
  RegexScanner(std::string_view pattern, Budget& budget);

  bool at_end() const { return at_ == pattern_.size(); }
  // The next character; NUL at the end.
  char32_t peek() const;
  // Takes the next character if it is `c`.
  bool consume(char c);
  // Takes `text` if it comes next.
  bool consume_text(std::string_view text);
  char32_t take();

  // After a backslash outside of a class.
  CharSet take_escape();
  // After "[".
  CharSet take_class();
  // A decimal number, if one comes next. Errors: kInvalidInput above 2^31.
  std::optional<uint32_t> take_number();

  size_t position() const { return at_; }
  void rewind(size_t position) { at_ = position; }
  [[noreturn]] void fail(ErrorCode code, std::string_view message) const;

 private:
  // An escape that stands for one character, within or outside of a class.
  char32_t take_character_escape(char32_t c);
  // \d and its like; nothing for other letters.
  static std::optional<CharSet> find_shorthand(char32_t c);
  // A class as far as it was read.
  struct Class {
    bool is_complement = false;
    bool keeps_to_ascii = false;
    CharSet characters = {};
  };
  // One character of a class; nothing for a shorthand, which is added to `result`.
  std::optional<char32_t> take_class_item(Class& result);
  char32_t take_hex(size_t digits);

  std::string_view pattern_;
  Budget& budget_;
  size_t at_ = 0;
};

}  // namespace beryl::text::grammar
