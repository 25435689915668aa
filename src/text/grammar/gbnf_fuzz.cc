// Any GBNF text: a grammar or an error.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "text/grammar/automaton.h"
#include "text/grammar/gbnf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beryl::text::grammar;
  try {
    Budget budget({.states_max = 100'000});
    Grammar grammar(budget);
    parse_gbnf(grammar, {reinterpret_cast<const char*>(data), size});
    build_automaton(grammar);
  } catch (const beryl::Error&) {
    // Refused, as most inputs are.
  }
  return 0;
}
