// Any regular expression: a grammar or an error, however the match is bounded.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "text/grammar/automaton.h"
#include "text/grammar/regex.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beryl::text::grammar;
  if (size < 3) return 0;
  const std::string_view pattern(reinterpret_cast<const char*>(data) + 3, size - 3);
  try {
    Budget budget({.states_max = 100'000});
    Grammar grammar(budget);
    const RegexOptions options{.matches_whole = (data[0] & 1U) != 0,
                               .length_min = data[1],
                               .length_max = (data[0] & 2U) != 0 ? kUnlimited : data[2]};
    grammar.set_root(
        parse_regex(grammar, pattern, options, [&](const CharSet& set) { return grammar.set(set); }));
    build_automaton(grammar);
  } catch (const beryl::Error&) {
    // Refused, as most inputs are.
  }
  return 0;
}
