#include "text/grammar/matcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/grammar/gbnf.h"
#include "text/grammar/grammar_cache.h"
#include "text/grammar/grammar_for_tests.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/regex.h"

namespace beryl::text::grammar {
namespace {

using testing::HasSubstr;

std::shared_ptr<CompiledGrammar> compile_regex(std::string_view pattern, const GrammarLimits& limits = {}) {
  return compile_for_test([&](Grammar& grammar) { parse_regex_output(grammar, pattern); }, limits);
}

// The mask as it is defined: by asking for each token.
MaskWords slow_mask(Matcher& matcher) {
  MaskWords mask(test_vocabulary().trie->mask_words());
  for (int32_t token = 0; token < test_vocabulary().trie->vocabulary_size(); ++token) {
    if (matcher.accepts(token)) set_bit(mask, token);
  }
  return mask;
}

void expect_exact_masks(const std::shared_ptr<CompiledGrammar>& grammar, int outputs, int tokens) {
  std::mt19937 random(7);
  for (int output = 0; output < outputs; ++output) {
    Matcher matcher(grammar);
    for (int i = 0; i < tokens && !matcher.has_ended(); ++i) {
      const auto mask = matcher.mask();
      ASSERT_EQ(*mask, slow_mask(matcher));
      std::vector<int32_t> allowed;
      for (int32_t token = 0; token < test_vocabulary().trie->vocabulary_size(); ++token) {
        if (has_bit(*mask, token)) allowed.push_back(token);
      }
      ASSERT_FALSE(allowed.empty());
      ASSERT_TRUE(matcher.push(allowed[random() % allowed.size()]));
    }
  }
}

TEST(Matcher, MasksAreWhatItAccepts) {
  expect_exact_masks(compile_regex("(?:[a-z ]{0,12}[0-9]?){2,9}"), 4, 20);
  expect_exact_masks(compile_regex("[^x]{3,40}y*"), 4, 20);
  expect_exact_masks(compile_for_test([](Grammar& grammar) {
                       parse_json_schema_output(grammar, R"({"type":"object","properties":{
                         "s":{"type":"string","maxLength":20},"p":{"type":"string","pattern":"^[^,]+$"},
                         "t":{"enum":["one","two"]},"n":{"type":"number","minimum":0,"maximum":10}},
                         "required":["s","p","t","n"],"additionalProperties":{"type":"string"}})");
                     }),
                     4, 40);
  expect_exact_masks(compile_for_test([](Grammar& grammar) { any_json_object_output(grammar); }), 4, 30);
}

TEST(Matcher, AllowsEndTokensWhereTheOutputMayEnd) {
  Matcher matcher(compile_regex("ab?"));
  EXPECT_FALSE(matcher.may_end());
  EXPECT_FALSE(matcher.accepts(test_token("<turn|>")));
  EXPECT_TRUE(matcher.push(test_token("a")));
  EXPECT_TRUE(matcher.may_end());
  EXPECT_FALSE(matcher.must_end());
  Matcher other = matcher;
  EXPECT_TRUE(other.push(test_token("b")));
  EXPECT_TRUE(other.must_end());
  EXPECT_FALSE(other.push(test_token("b")));
  EXPECT_TRUE(matcher.push(test_token("<eos>")));
  EXPECT_TRUE(matcher.has_ended() && !other.has_ended());
  EXPECT_FALSE(matcher.push(test_token("b")));
  EXPECT_TRUE(matcher.push(test_token("<turn|>")));
  EXPECT_EQ(*matcher.mask(), *other.mask());
}

TEST(Matcher, RefusesIdsOutsideOfTheVocabulary) {
  Matcher matcher(compile_regex("(?:.|\\n)*"));
  EXPECT_FALSE(matcher.accepts(-1));
  EXPECT_FALSE(matcher.accepts(test_vocabulary().trie->vocabulary_size()));
  EXPECT_FALSE(matcher.accepts(test_token("<|channel>")));
}

TEST(Matcher, SpellsCharactersInBytesOnlyAsAWhole) {
  Matcher matcher(compile_regex("\xE2\x82\xAC"));  // the euro sign
  EXPECT_TRUE(matcher.push(test_token("<0xE2>")));
  EXPECT_FALSE(matcher.may_end());
  EXPECT_FALSE(matcher.push(test_token("<0x80>")));
  EXPECT_TRUE(matcher.push(test_token("<0x82>")));
  EXPECT_TRUE(matcher.push(test_token("<0xAC>")));
  EXPECT_TRUE(matcher.must_end());
}

TEST(Matcher, KeepsCountsApartWhereTheyMatter) {
  const auto grammar = compile_regex("a{5000}b");
  Matcher matcher(grammar);
  const auto first = matcher.mask();
  for (int i = 0; i < 2500; ++i) ASSERT_TRUE(matcher.push(test_token("a")));
  EXPECT_EQ(matcher.mask(), first);  // the same object: no token comes near a bound
  for (int i = 0; i < 2500; ++i) ASSERT_TRUE(matcher.push(test_token("a")));
  EXPECT_FALSE(matcher.push(test_token("a")));
  EXPECT_TRUE(matcher.push(test_token("b")));
}

TEST(Matcher, SurvivesThatTheGrammarForgets) {
  GrammarLimits limits;
  limits.cache_bytes_max = 20'000;
  const auto grammar = compile_for_test([](Grammar& into) { any_json_object_output(into); }, limits);
  Matcher waiting(grammar);
  for (const int32_t token : test_tokenizer().encode("{\"a\":[[1,", SpecialTokens::kAsText))
    waiting.push(token);
  expect_exact_masks(grammar, 3, 20);
  for (const int32_t token : test_tokenizer().encode("{}]]}", SpecialTokens::kAsText)) {
    EXPECT_TRUE(waiting.push(token));
  }
  EXPECT_TRUE(waiting.must_end());
}

TEST(Matcher, EndsHostileGrammarsWithAnError) {
  const auto error_of = [](const std::function<void()>& work) -> std::string {
    try {
      work();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      return error.message();
    }
    return "no error";
  };
  const auto run = [](const std::shared_ptr<CompiledGrammar>& grammar, std::string_view token) {
    Matcher matcher(grammar);
    for (int i = 0; i < 100'000 && matcher.push(test_token(token)); ++i) {
    }
  };
  std::string brackets(200'000, '(');
  EXPECT_THAT(error_of([&] { compile_regex(brackets); }), HasSubstr("')' is missing"));
  EXPECT_THAT(error_of([&] { compile_regex(brackets + brackets); }),
              HasSubstr("more than 262144 bytes of text"));
  EXPECT_THAT(error_of([&] { compile_regex(brackets.substr(0, 60'000) + std::string(60'000, ')')); }),
              "no error");
  EXPECT_THAT(error_of([&] { run(compile_regex("(?:a|aa){0,100000}b", {.places_max = 256}), "a"); }),
              HasSubstr("too ambiguous"));
  EXPECT_THAT(error_of([&] {
                compile_for_test([](Grammar& grammar) { parse_regex_output(grammar, "[a-z]{9}x"); },
                                 {.states_max = 5});
              }),
              HasSubstr("more than 5 states"));
  EXPECT_THAT(error_of([&] {
                compile_for_test([](Grammar& grammar) { parse_regex_output(grammar, "abc"); },
                                 {.nodes_max = 2});
              }),
              HasSubstr("more than 2 nodes"));
  GrammarLimits small;
  small.step_bytes_max = 1000;
  EXPECT_THAT(error_of([&] { Matcher(compile_regex("[a-z]{0,100}", small)).mask(); }),
              HasSubstr("1000 bytes for one token"));
  small = {};
  small.step_work_max = 10;
  EXPECT_THAT(error_of([&] { Matcher(compile_regex("[a-z]{0,100}", small)).mask(); }),
              HasSubstr("10 places for one token"));
  const auto two_brackets = compile_for_test(
      [](Grammar& grammar) { parse_gbnf(grammar, "root ::= \"(\" root \")\" | \"(\" root \"]\" | \"x\""); });
  EXPECT_THAT(error_of([&] { run(two_brackets, "("); }), HasSubstr("more than 4096 places at once"));
}

TEST(GrammarCache, CompilesEqualConstraintsOnce) {
  GrammarCache cache(test_vocabulary());
  const auto first = cache.compile(RegexConstraint{"a+"});
  EXPECT_EQ(cache.compile(RegexConstraint{"a+"}), first);
  EXPECT_NE(cache.compile(GbnfConstraint{"root ::= \"a\""}), first);
  EXPECT_NE(cache.compile(ChoiceConstraint{{"ab", "c"}}), cache.compile(ChoiceConstraint{{"a", "bc"}}));
  EXPECT_EQ(cache.compile(JsonObjectConstraint{}), cache.compile(JsonObjectConstraint{}));
  EXPECT_THROW(cache.compile(ChoiceConstraint{{}}), Error);
  EXPECT_THROW(cache.compile(ChoiceConstraint{{"\xFF"}}), Error);
}

TEST(GrammarCache, ForgetsWhatWasUsedLongAgo) {
  GrammarCache cache(test_vocabulary(), {}, 60'000);
  const auto first = cache.compile(RegexConstraint{"a+"});
  for (int i = 0; i < 50; ++i) cache.compile(RegexConstraint{"b{" + std::to_string(i) + "}"});
  EXPECT_NE(cache.compile(RegexConstraint{"a+"}), first);
  EXPECT_TRUE(matches(first, "aa"));
}

}  // namespace
}  // namespace beryl::text::grammar
