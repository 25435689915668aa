// Reads JSON text forward without building values, for a file of a million strings that goes straight into
// compact tables. Everything small goes through base/json.h instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace beryl::text {

// A position in a JSON text. The caller says what comes next; anything else is an Error (kInvalidInput) with
// the source's name and the byte position. Strict: RFC 8259, no trailing commas, no control characters in
// strings, no unpaired surrogates.
class JsonScanner {
 public:
  // `text` is valid UTF-8. `text` and `source` (a name for messages) outlive the scanner.
  JsonScanner(std::string_view text, std::string_view source, size_t start = 0)
      : text_(text), source_(source), position_(start) {}

  // Skips white space and consumes `punctuation`, one of {}[]:, and ".
  void expect(char punctuation);
  // Consumes `punctuation` if it comes next, after white space.
  bool consume(char punctuation);
  // The character that comes next, after white space; NUL at the end.
  char peek();

  // After an element: true when a comma follows, false when `closer` does; both are consumed.
  bool has_more(char closer);

  // A string, unescaped. The view points into the text when there is no escape in the string, else into the
  // scanner, where the next call overwrites it; `last_string_is_in_text` tells which.
  std::string_view read_string();
  bool last_string_is_in_text() const { return last_string_is_in_text_; }

  // An integer of 0 to 2^31 - 1, without sign, fraction or exponent.
  int32_t read_index();

  // Steps over one value of any kind and returns its text. Brackets are only counted, so the text is to be
  // parsed afterwards by someone who cares.
  std::string_view skip_value();

  // Only white space may follow.
  void expect_end();

  // Offset of the next byte to be read.
  size_t position() const { return position_; }

  [[noreturn]] void fail(std::string_view message) const;

 private:
  void skip_white_space();
  void skip_string();
  void append_escape();
  uint32_t read_four_hex_digits();

  std::string_view text_;
  std::string_view source_;
  size_t position_;
  std::string unescaped_;
  bool last_string_is_in_text_ = true;
};

}  // namespace beryl::text
