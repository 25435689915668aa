// Finds stop strings in text that arrives in pieces, and lets through at once all that cannot be part of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beryl::text {

// Whether the stop string itself is shown.
enum class StopText : uint8_t { kHide, kShow };

// The match that ends first stops the text; of several that end at the same byte the longest is the one. So
// the result does not depend on how the text is cut. Held back is the longest end of the text so far that
// begins a stop string, and no more; at a cut inside a UTF-8 character that may be a part of one. Time per
// byte is constant for each stop string, on average. One text per matcher, one thread at a time.
class StopMatcher {
 public:
  static constexpr size_t kStringsMax = 16;
  static constexpr size_t kBytesMax = 256;

  // Errors: kInvalidInput for more than kStringsMax strings, or one that is empty or longer than kBytesMax
  // bytes. No strings at all: everything is let through.
  StopMatcher(std::vector<std::string> stops, StopText stop_text);

  // The text that may be shown now. After a match nothing more.
  std::string push(std::string_view text);
  // No more text comes: what was held back. Nothing after a match.
  std::string flush();

  // Which of the strings stopped the text, as an index into those given; absent while none has.
  std::optional<size_t> matched() const { return matched_; }

 private:
  // A string and how much of it the text so far ends with: Knuth, Morris and Pratt's automaton.
  struct Automaton {
    std::string stop;
    // [i]: length of the longest proper prefix of stop[0, i] that also ends it, i inclusive.
    std::vector<size_t> border;
    size_t matched_bytes = 0;
  };

  static Automaton make_automaton(std::string stop);
  static void advance(Automaton& automaton, char c);
  size_t longest_partial_match() const;

  std::vector<Automaton> automata_;
  StopText stop_text_;
  std::string held_;
  std::optional<size_t> matched_;
};

}  // namespace beryl::text
