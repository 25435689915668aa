// Bytes that arrive one at a time, turned into text that is valid at every moment.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "text/utf8.h"

namespace beryl::text {

// Passes whole characters on and holds back an unfinished one. What can no longer become a character is
// replaced by one U+FFFD per maximal subpart, as Unicode recommends (section 3.9, "U+FFFD Substitution of
// Maximal Subparts"), so the result does not depend on how the bytes were cut. Never fails.
class Utf8Stream {
 public:
  // Appends to `out` what `byte` completes, if anything.
  void push(uint8_t byte, std::string& out);

  // The bytes end here: an unfinished character becomes U+FFFD. The stream can be used again.
  void flush(std::string& out);

  bool has_pending() const { return pending_count_ > 0; }

 private:
  std::array<char, 4> pending_{};
  uint8_t pending_count_ = 0;
  Utf8Lead lead_;
};

}  // namespace beryl::text
