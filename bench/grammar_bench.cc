// grammar_bench: what constrained output costs, with the vocabulary of $BERYL_SHARED/data/tokenizer
// (Google's, 262,144 tokens) or else of the demo model.
//
//   compile/...   from text to a grammar that is ready
//   cold/...      masks of outputs that each start with nothing remembered: one iteration is one output
//   warm/...      masks of outputs that share what earlier ones have left behind
//   hostile/...   until the grammar or the output ends, or a limit does
//
// An output is drawn at random from the masks, 200 tokens long. Counters are microseconds for one mask:
// median, 99th percentile, and largest; `push` is the median for checking and taking one token.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/grammar/grammar_cache.h"
#include "text/grammar/matcher.h"

namespace {

using namespace beryl::text;
using namespace beryl::text::grammar;
using Clock = std::chrono::steady_clock;

constexpr int kOutputTokens = 200;

const OutputVocabulary& vocabulary() {
  static const OutputVocabulary kVocabulary = [] {
    const char* const shared = std::getenv("BERYL_SHARED");
    const std::filesystem::path file =
        shared == nullptr ? std::filesystem::path(BERYL_SOURCE_DIR "/models/demo/tokenizer.json")
                          : std::filesystem::path(shared) / "data/tokenizer/tokenizer.json";
    const Tokenizer tokenizer = load_tokenizer(file);
    const auto start = Clock::now();
    OutputVocabulary result{std::make_shared<const TokenTrie>(tokenizer), {*tokenizer.find_token("<eos>")}};
    fmt::print("{} tokens, tree built in {} ms, {} nodes, {} beside plain text\n",
               tokenizer.vocabulary_size(),
               std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count(),
               result.trie->nodes().size(), result.trie->nodes_without_plain().size());
    return result;
  }();
  return kVocabulary;
}

std::shared_ptr<CompiledGrammar> compile(const OutputConstraint& constraint) {
  return GrammarCache(vocabulary()).compile(constraint);
}

const char* const kOrder = R"({"type":"object","properties":{
  "id":{"type":"string","format":"uuid"},"customer":{"type":"string","maxLength":80},
  "status":{"enum":["open","paid","shipped","cancelled"]},"total":{"type":"number","minimum":0},
  "placed":{"type":"string","format":"date-time"},"notes":{"type":["string","null"]},
  "lines":{"type":"array","minItems":1,"maxItems":20,"items":{"type":"object","properties":{
    "sku":{"type":"string","pattern":"^[A-Z]{2}-[0-9]{4,8}$"},"quantity":{"type":"integer","minimum":1,"maximum":999},
    "title":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}}},
    "required":["sku","quantity","title"],"additionalProperties":false}}},
  "required":["id","customer","status","lines"],"additionalProperties":false})";

// The above with many more properties: 4 KB.
std::string large_schema() {
  std::string properties;
  while (properties.size() < 3500) {
    const size_t i = properties.size();
    properties += fmt::format(
        R"("name_{0}":{{"type":"string","description":"what it is called","maxLength":{1}}},)"
        R"("kind_{0}":{{"enum":["red","green","blue","{0}"]}},)"
        R"("value_{0}":{{"anyOf":[{{"type":"number","minimum":0,"maximum":100}},{{"type":"null"}}]}},)",
        i, 20 + i % 60);
  }
  properties.pop_back();
  return fmt::format(R"({{"type":"object","properties":{{"order":{},{}}}}})", kOrder, properties);
}

struct Case {
  std::string name;
  OutputConstraint constraint;
};

std::vector<Case> typical_cases() {
  const auto tool = nlohmann::ordered_json::parse(
      fmt::format(R"({{"type":"function","function":{{"name":"place_order","parameters":{}}}}})", kOrder));
  return {
      {"order", JsonSchemaConstraint{kOrder}},
      {"schema_4k", JsonSchemaConstraint{large_schema()}},
      {"json_object", JsonObjectConstraint{}},
      {"strings", JsonSchemaConstraint{R"({"type":"array","items":{"type":"string","maxLength":500}})"}},
      {"tool_call", ToolCallConstraint{{tool}}},
      {"regex_email", RegexConstraint{R"([a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,})"}},
      {"regex_words", RegexConstraint{R"((?:\w+[ ,.]){1,1000})"}},
      {"regex_any", RegexConstraint{R"((?:.*\n){0,50})"}},
      {"choices", ChoiceConstraint{{"positive", "negative", "neutral", "not applicable"}}},
      {"gbnf_arithmetic", GbnfConstraint{"root ::= (expr \"=\" term \"\\n\")+\nexpr ::= term ([-+*/] term)*\n"
                                         "term ::= num | \"(\" expr \")\"\nnum ::= [0-9]+ [ \\t]*"}}};
}

std::vector<Case> hostile_cases() {
  std::string deep = "1";
  for (int i = 0; i < 5000; ++i) deep = "(?:" + deep + "|x)";
  std::string wide;
  for (int i = 0; i < 200; ++i) wide += fmt::format("(?:a{{0,{}}}b?)|", i * 500);
  std::string anchors;
  for (int i = 0; i < 60; ++i)
    anchors +=
        fmt::format(R"({{"properties":{{"p{0}":{{"anyOf":[{{"$ref":"#"}},{{"type":"string"}}]}}}}}},)", i);
  anchors.pop_back();
  return {{"ambiguous_counts", RegexConstraint{"(?:a|aa|aaa){0,100000}"}},
          {"nested_counts", RegexConstraint{"(?:(?:(?:a?b?){0,1000}c?){0,1000}d?){0,1000}"}},
          {"suffix_search", RegexConstraint{"(?:.|\\n)*a(?:.|\\n){2000}b"}},
          {"deep_groups", RegexConstraint{deep}},
          {"wide_union", RegexConstraint{wide + "z"}},
          {"two_brackets", GbnfConstraint{"root ::= \"(\" root \")\" | \"(\" root \"]\" | \"x\""}},
          {"union_of_objects", JsonSchemaConstraint{fmt::format(R"({{"anyOf":[{}]}})", anchors)}},
          {"many_strings",
           RegexConstraint{"[a-z]*[b-z]*[c-z]*[d-z]*[e-z]*[f-z]*[g-z]*[h-z]*[a-y]*[a-x]*[a-w]*[a-v]*z"}}};
}

// Any allowed token, but the end only where nothing else is left.
int32_t pick(const MaskWords& mask, bool avoids_end, std::mt19937& random) {
  const int32_t end = vocabulary().end_tokens[0];
  std::vector<int32_t> allowed;
  for (size_t word = 0; word < mask.size(); ++word) {
    for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
      allowed.push_back(static_cast<int32_t>(word * 64) + std::countr_zero(bits));
    }
  }
  if (avoids_end && allowed.size() > 1) std::erase(allowed, end);
  return allowed[random() % allowed.size()];
}

struct Timings {
  std::vector<double> masks;
  std::vector<double> pushes;

  void report(benchmark::State& state) {
    const auto quantile = [](std::vector<double>& values, double part) {
      if (values.empty()) return 0.0;
      std::sort(values.begin(), values.end());
      return values[static_cast<size_t>(part * static_cast<double>(values.size() - 1))];
    };
    state.counters["p50"] = quantile(masks, 0.5);
    state.counters["p99"] = quantile(masks, 0.99);
    state.counters["max"] = quantile(masks, 1);
    state.counters["push"] = quantile(pushes, 0.5);
    state.counters["steps"] = static_cast<double>(masks.size());
  }
};

void draw_output(const std::shared_ptr<CompiledGrammar>& grammar, std::mt19937& random, bool avoids_end,
                 Timings& timings) {
  Matcher matcher(grammar);
  const auto microseconds = [](Clock::duration time) {
    return std::chrono::duration<double, std::micro>(time).count();
  };
  for (int i = 0; i < kOutputTokens && !matcher.has_ended(); ++i) {
    const auto start = Clock::now();
    const auto mask = matcher.mask();
    const auto masked = Clock::now();
    timings.masks.push_back(microseconds(masked - start));
    const int32_t token = pick(*mask, avoids_end, random);
    const auto picked = Clock::now();
    matcher.push(token);
    timings.pushes.push_back(microseconds(Clock::now() - picked));
  }
}

void run_outputs(benchmark::State& state, const Case& one, bool is_warm) {
  std::mt19937 random(1);
  Timings timings;
  std::shared_ptr<CompiledGrammar> grammar = compile(one.constraint);
  if (is_warm) {
    Timings ignored;
    for (int i = 0; i < 20; ++i) draw_output(grammar, random, false, ignored);
  }
  for (auto _ : state) {
    if (!is_warm) grammar = compile(one.constraint);
    draw_output(grammar, random, false, timings);
  }
  timings.report(state);
}

void run_hostile(benchmark::State& state, const Case& one) {
  Timings timings;
  std::string end = "not stopped";
  for (auto _ : state) {
    try {
      std::mt19937 random(1);
      draw_output(compile(one.constraint), random, true, timings);
    } catch (const beryl::Error& error) {
      end = error.message().substr(0, 100);
    }
  }
  state.SetLabel(end);
  timings.report(state);
}

}  // namespace

int main(int argc, char** argv) {
  vocabulary();
  for (const Case& one : typical_cases()) {
    benchmark::RegisterBenchmark(("compile/" + one.name).c_str(),
                                 [one](benchmark::State& state) {
                                   for (auto _ : state) benchmark::DoNotOptimize(compile(one.constraint));
                                 })
        ->Unit(benchmark::kMicrosecond)
        ->MinTime(0.05);
    for (const bool is_warm : {false, true}) {
      benchmark::RegisterBenchmark(
          fmt::format("{}/{}", is_warm ? "warm" : "cold", one.name).c_str(),
          [one, is_warm](benchmark::State& state) { run_outputs(state, one, is_warm); })
          ->Unit(benchmark::kMillisecond)
          ->Iterations(20);
    }
  }
  for (const Case& one : hostile_cases()) {
    benchmark::RegisterBenchmark(("hostile/" + one.name).c_str(),
                                 [one](benchmark::State& state) { run_hostile(state, one); })
        ->Unit(benchmark::kMillisecond)
        ->Iterations(1);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
