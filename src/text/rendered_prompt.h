// What a chat template makes of a conversation, ready for the tokenizer.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace beryl::text {

// Bytes [begin, end) of a text.
struct Span {
  size_t begin = 0;
  size_t end = 0;

  friend bool operator==(const Span&, const Span&) = default;
};

// A special token may be recognised only where all of its characters lie in one of `template_spans`: the rest
// of the text came from messages, tools or other variables, and is plain text whatever it spells. Ordinary
// tokens may cross the borders of spans.
struct RenderedPrompt {
  std::string text;                  // UTF-8
  std::vector<Span> template_spans;  // ascending, not empty, not touching each other
};

}  // namespace beryl::text
