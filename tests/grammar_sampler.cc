// grammar_sampler: draws random outputs that follow a constraint, for tests/python/test_grammar.py.
//
// Reads a JSON object a line: {"kind": "json_schema" | "json_object" | "regex" | "choices" | "gbnf" |
// "tools", "value": what the constraint is made from, "seed", "count", "tokens"}. Answers each with a line:
// {"outputs": [...]}, or {"error": "..."}, also when an output does not come to its end.

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "text/grammar/grammar_cache.h"
#include "text/grammar/grammar_for_tests.h"

namespace {

using nlohmann::ordered_json;
using namespace beryl::text::grammar;

OutputConstraint constraint_of(const ordered_json& request) {
  const std::string kind = request.at("kind");
  const ordered_json& value = request.at("value");
  if (kind == "json_schema") return JsonSchemaConstraint{value.dump()};
  if (kind == "json_object") return JsonObjectConstraint{};
  if (kind == "regex") return RegexConstraint{value};
  if (kind == "gbnf") return GbnfConstraint{value};
  if (kind == "choices") return ChoiceConstraint{value};
  return ToolCallConstraint{value, {.begins_inside_call = false, .allows_several = false}};
}

ordered_json answer(GrammarCache& cache, const ordered_json& request) {
  const auto grammar = cache.compile(constraint_of(request));
  std::mt19937 random(request.at("seed").get<uint32_t>());
  ordered_json outputs = ordered_json::array();
  for (int i = 0; i < request.at("count").get<int>(); ++i) {
    outputs.push_back(random_output(grammar, random, request.at("tokens").get<size_t>()));
  }
  return {{"outputs", outputs}};
}

}  // namespace

int main() {
  GrammarLimits limits;
  limits.compile_time_max = std::chrono::minutes(1);  // machines that run tests are busy
  GrammarCache cache(test_vocabulary(), limits);
  std::string line;
  while (std::getline(std::cin, line)) {
    ordered_json reply;
    try {
      reply = answer(cache, ordered_json::parse(line));
    } catch (const std::exception& error) {
      reply = {{"error", error.what()}};
    }
    std::cout << reply.dump() << std::endl;
  }
  return 0;
}
