#include "text/grammar/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/grammar/grammar_for_tests.h"

namespace beryl::text::grammar {
namespace {

using testing::HasSubstr;

std::shared_ptr<CompiledGrammar> compile(std::string_view pattern, const RegexOptions& options = {}) {
  return compile_for_test([&](Grammar& grammar) {
    const CharacterSpelling spell = [&](const CharSet& set) { return grammar.set(set); };
    grammar.set_root(parse_regex(grammar, pattern, options, spell));
  });
}

std::string error_of(std::string_view pattern, const RegexOptions& options = {}) {
  try {
    compile(pattern, options);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(Regex, MatchesTheWholeText) {
  const auto grammar = compile("a+(?:b|cd)*[^x-z]?");
  EXPECT_TRUE(matches(grammar, "aabcdb"));
  EXPECT_TRUE(matches(grammar, "a\n"));
  EXPECT_FALSE(matches(grammar, "b"));
  EXPECT_FALSE(matches(grammar, "abx"));
  EXPECT_FALSE(matches(grammar, "abcc d"));
}

TEST(Regex, KnowsEscapesAndClasses) {
  EXPECT_TRUE(matches(compile(R"(\d\w\s\D\W\S)"), "1_ a-\xC3\xA9"));
  EXPECT_FALSE(matches(compile(R"(\S)"), "\xC2\xA0"));  // a no-break space
  EXPECT_TRUE(matches(compile(R"(\x41\u00e9\u{1F600}\n\t\.\/\-\$)"), "A\xC3\xA9\xF0\x9F\x98\x80\n\t./-$"));
  EXPECT_TRUE(matches(compile(R"([\w.\-+]+@[a-z\]]+)"), "a.b-c+d@x]"));
  EXPECT_TRUE(matches(compile(R"([^\d]+)"), "ab"));
  EXPECT_FALSE(matches(compile(R"([^\d]+)"), "\xD9\xA3"));  // an Arabic digit, which Python counts
  EXPECT_FALSE(matches(compile("."), "\n"));
  EXPECT_TRUE(matches(compile(R"([^\s,]+)"), "\xC3\xA9t\xC3\xA9"));
  EXPECT_FALSE(matches(compile(R"([^\s])"), "\x1F"));  // a space to Python alone
  EXPECT_FALSE(matches(compile(R"([^\S])"), "\x1F"));
  EXPECT_TRUE(matches(compile(R"([^\S])"), "\t"));
  EXPECT_TRUE(matches(compile("."), "\xF0\x9F\x98\x80"));
  EXPECT_TRUE(matches(compile("a{x}{"), "a{x}{"));
}

TEST(Regex, CountsInsteadOfExpanding) {
  const auto grammar = compile("(?:a|bc){2,100000}");
  EXPECT_FALSE(matches(grammar, "a"));
  EXPECT_TRUE(matches(grammar, "abc"));
  EXPECT_TRUE(matches(grammar, std::string(3000, 'a')));
  const auto three = compile("(?:ab?){3}c{2,}(?:d?){0,5}");
  EXPECT_TRUE(matches(three, "abaabccc"));
  EXPECT_TRUE(matches(three, "aaaccddddd"));
  EXPECT_FALSE(matches(three, "aaaccdddddd"));
  EXPECT_FALSE(matches(three, "aaccd"));
  EXPECT_FALSE(matches(three, "aaac"));
}

TEST(Regex, RepeatsPartsThatMayBeEmpty) {
  const auto grammar = compile("(?:a*b?){3}x(?:(?:c?d?)*){2,4}(?:|e)+");
  EXPECT_TRUE(matches(grammar, "x"));
  EXPECT_TRUE(matches(grammar, "abaabbxcdccddee"));
  EXPECT_FALSE(matches(grammar, "bbbbx"));
}

TEST(Regex, SearchesUnlessAnchored) {
  const RegexOptions search{.matches_whole = false};
  EXPECT_TRUE(matches(compile("b+", search), "aabba"));
  EXPECT_FALSE(matches(compile("b+", search), "aa"));
  EXPECT_TRUE(matches(compile("^b|c$", search), "bx"));
  EXPECT_TRUE(matches(compile("^b|c$", search), "xc"));
  EXPECT_FALSE(matches(compile("^b|c$", search), "xb"));
  EXPECT_FALSE(matches(compile("^b$", search), "bb"));
  EXPECT_TRUE(matches(compile("", search), "anything"));
}

TEST(Regex, FitsARepetitionToBoundsOnTheLength) {
  const RegexOptions bounds{.length_min = 3, .length_max = 5};
  const auto grammar = compile("x[a-z]+y|\\d{2}|ab{2}|\\d*", bounds);
  EXPECT_TRUE(matches(grammar, "xay"));
  EXPECT_TRUE(matches(grammar, "xaaay"));
  EXPECT_FALSE(matches(grammar, "xaaaay"));
  EXPECT_TRUE(matches(grammar, "abb"));
  EXPECT_FALSE(matches(grammar, "12"));
  EXPECT_TRUE(matches(grammar, "123"));
  EXPECT_FALSE(matches(grammar, "123456"));
  EXPECT_THAT(error_of("[a-z]+-\\d*", bounds), HasSubstr("bounds on the length"));
}

TEST(Regex, NamesWhatIsNotSupported) {
  EXPECT_THAT(error_of(R"((a)\1)"), HasSubstr("back-references are not supported at byte 5"));
  EXPECT_THAT(error_of("(?=a)b"), HasSubstr("look-ahead"));
  EXPECT_THAT(error_of("(?!a)b"), HasSubstr("look-ahead"));
  EXPECT_THAT(error_of("(?<=a)b"), HasSubstr("look-behind"));
  EXPECT_THAT(error_of("(?i)b"), HasSubstr("this kind of group"));
  EXPECT_THAT(error_of(R"(\bword)"), HasSubstr("word boundaries"));
  EXPECT_THAT(error_of(R"(\p{L})"), HasSubstr("\\p is not supported"));
  EXPECT_THAT(error_of("a++"), HasSubstr("possessive"));
  EXPECT_THAT(error_of("a^b"), HasSubstr("'^' is supported at the beginning only"));
  EXPECT_THAT(error_of("a$b"), HasSubstr("'$' before the end"));
  EXPECT_THAT(error_of("(a$)"), HasSubstr("'$' is supported outside of groups"));
  EXPECT_THAT(error_of("[[:alpha:]]"), HasSubstr("dialects differ about '['"));
  EXPECT_THAT(error_of("a{,3}"), HasSubstr("dialects differ about '{,n}'"));
}

TEST(Regex, NamesWhatIsMalformed) {
  EXPECT_THAT(error_of("(a"), HasSubstr("')' is missing"));
  EXPECT_THAT(error_of("a)"), HasSubstr("')' without '('"));
  EXPECT_THAT(error_of("*a"), HasSubstr("nothing to repeat"));
  EXPECT_THAT(error_of("a**"), HasSubstr("repetitions follow"));
  EXPECT_THAT(error_of("[a"), HasSubstr("the end comes too early"));
  EXPECT_THAT(error_of("[z-a]"), HasSubstr("runs backwards"));
  EXPECT_THAT(error_of("a{3,2}"), HasSubstr("the wrong way round"));
  EXPECT_THAT(error_of("a{2147483648}"), HasSubstr("the number is too large"));
  EXPECT_THAT(error_of("a\\"), HasSubstr("the end comes too early"));
  EXPECT_THAT(error_of("\xFF"), HasSubstr("UTF-8"));
  EXPECT_THAT(error_of("[]"), HasSubstr("']' at the start"));
}

}  // namespace
}  // namespace beryl::text::grammar
