// Any schema: a grammar or an error, in both notations.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "text/grammar/automaton.h"
#include "text/grammar/json_schema.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beryl::text::grammar;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Notation notation : {Notation::kJson, Notation::kToolArguments}) {
    try {
      Budget budget({.states_max = 100'000});
      Grammar grammar(budget);
      const auto schema = beryl::parse_ordered_json(text, "schema");
      const bool relaxes = notation == Notation::kToolArguments;
      grammar.set_root(parse_json_schema(grammar, schema,
                                         {notation, relaxes ? Unsupported::kRelax : Unsupported::kRefuse}));
      build_automaton(grammar);
    } catch (const beryl::Error&) {
      // Refused, as most inputs are.
    }
  }
  return 0;
}
