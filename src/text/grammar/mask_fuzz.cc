// Any constraint, and any way through it: the mask is never empty, and allows what the matcher takes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "text/grammar/grammar_cache.h"
#include "text/grammar/matcher.h"
#include "text/random_tables.h"
#include "text/tokenizer.h"

namespace {

using namespace beryl::text;
using namespace beryl::text::grammar;

constexpr int kTokens = 30;
constexpr int32_t kEnd = 0;  // also a text, "<unk>"

const OutputVocabulary& vocabulary() {
  static const OutputVocabulary kVocabulary = [] {
    std::mt19937 random(1);
    const Tokenizer tokenizer(make_random_tables(200, [&](size_t count) { return random() % count; }));
    return OutputVocabulary{std::make_shared<const TokenTrie>(tokenizer), {kEnd}};
  }();
  return kVocabulary;
}

OutputConstraint constraint_of(uint8_t kind, std::string text) {
  if (kind % 3 == 0) return JsonSchemaConstraint{std::move(text)};
  if (kind % 3 == 1) return RegexConstraint{std::move(text)};
  return GbnfConstraint{std::move(text)};
}

void follow(const std::shared_ptr<CompiledGrammar>& grammar, std::mt19937& random) {
  Matcher matcher(grammar);
  const int32_t size = vocabulary().trie->vocabulary_size();
  for (int i = 0; i < kTokens && !matcher.has_ended(); ++i) {
    const auto mask = matcher.mask();
    std::vector<int32_t> allowed;
    for (int32_t token = 0; token < size; ++token) {
      if (has_bit(*mask, token)) allowed.push_back(token);
      if (random() % 16 == 0) BERYL_CHECK(matcher.accepts(token) == has_bit(*mask, token));
    }
    BERYL_CHECK(!allowed.empty());
    BERYL_CHECK(!matcher.may_end() || has_bit(*mask, kEnd));
    BERYL_CHECK(matcher.must_end() == (allowed == std::vector<int32_t>{kEnd} && matcher.may_end()));
    BERYL_CHECK(matcher.push(allowed[random() % allowed.size()]));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::mt19937 random(data[1]);
  GrammarLimits limits;
  limits.states_max = 20'000;
  limits.places_max = 256;
  limits.step_work_max = 100'000;
  limits.cache_bytes_max = 1 << 20;
  limits.stack_depth_max = 64;
  try {
    GrammarCache cache(vocabulary(), limits);
    const auto grammar =
        cache.compile(constraint_of(data[0], {reinterpret_cast<const char*>(data) + 2, size - 2}));
    for (int output = 0; output < 3; ++output) follow(grammar, random);
  } catch (const beryl::Error& error) {
    BERYL_CHECK(error.message() != "the grammar leaves no token to choose");
  }
  return 0;
}
