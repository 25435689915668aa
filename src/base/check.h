// Invariants of the program itself. A failed check is a bug in Beryl: no file, request or argument may reach
// one.
#pragma once

namespace beryl {

// Prints the place and the condition, then aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition);

}  // namespace beryl

#define BERYL_CHECK(condition)                                               \
  do {                                                                       \
    if (!(condition)) ::beryl::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
