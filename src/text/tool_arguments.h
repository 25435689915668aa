// Turns the arguments of a Gemma 4 tool call, as they are generated, into JSON text.
//
//   {city:<|"|>Paris<|"|>,days:[1,2],exact:true}   ->   {"city":"Paris","days":[1,2],"exact":true}
//
// The grammar, with white space allowed around every part:
//   object = "{" [key ":" value {"," key ":" value}] [","] "}"      array = "[" [value {"," value}] [","] "]"
//   key    = bare | string                                          value = object | array | string | bare
//   string = <|"|> anything but that token <|"|>, taken literally: there are no escapes
//   bare   = characters up to "," "}" "]" (a key: ":"), without the white space around them
// A bare value is true or false, null (also none, nil), each in any case, a number if it is one in JSON, and
// otherwise a string, which may be empty.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace beryl::text {

// Fed from the character after the opening brace. The JSON may be cut anywhere; it never grows by anything
// that would have to be taken back. One thread at a time.
class ToolArguments {
 public:
  enum class State { kOpen, kComplete, kMalformed };

  // Objects and arrays open at once; one more is malformed. Bounds what a consumer of the JSON must nest.
  static constexpr size_t kDepthMax = 64;

  // The opening brace of the arguments, which the caller has seen.
  ToolArguments();

  // Takes text up to the closing brace of the arguments or the first malformed character, and returns how
  // much of it was taken; a malformed character is not. Only while open.
  size_t push_text(std::string_view text);
  // Takes the token <|"|>. Only while open.
  void push_quote();

  State state() const { return state_; }
  // Inside <|"|>: whatever comes, other than that token, is part of the string.
  bool is_in_string() const { return expected_ == Expected::kString || expected_ == Expected::kQuotedKey; }
  // The JSON since the last call.
  std::string take_json();

 private:
  enum class Expected {
    kKey,        // or the end of the object
    kBareKey,    // the rest of one, up to the colon
    kQuotedKey,  // the rest of one, up to the quote
    kColon,
    kValue,      // or, in an array, its end
    kBareValue,  // the rest of one, up to a delimiter
    kString,     // the rest of one, up to the quote
    kNext,       // a comma or the end
  };

  // Each takes one character. False: malformed.
  bool push_character(char c);
  bool push_at_key(char c);
  bool push_in_bare_key(char c);
  bool push_at_value(char c);
  bool push_in_bare_value(char c);
  bool push_after_value(char c);
  bool open(char bracket);
  bool close(char bracket);
  // A key or an array element begins, after a comma if it is not the first.
  void begin_item();
  void end_key();
  void begin_value();
  void end_bare_value();
  void fail() { state_ = State::kMalformed; }

  State state_ = State::kOpen;
  Expected expected_ = Expected::kKey;
  std::vector<char> open_brackets_;  // '{' and '['
  bool needs_comma_ = false;         // in JSON, before the next item of the innermost bracket
  std::string bare_;                 // the bare key or value so far
  std::string json_;                 // not yet taken
};

}  // namespace beryl::text
