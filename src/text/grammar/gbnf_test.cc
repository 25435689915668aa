#include "text/grammar/gbnf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/grammar/grammar_for_tests.h"

namespace beryl::text::grammar {
namespace {

using testing::HasSubstr;

std::shared_ptr<CompiledGrammar> compile(std::string_view text) {
  return compile_for_test([&](Grammar& grammar) { parse_gbnf(grammar, text); });
}

std::string error_of(std::string_view text) {
  try {
    compile(text);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(Gbnf, ReadsLlamaCppsArithmeticExample) {
  const auto grammar = compile(R"gbnf(
# from the notation's own documentation
root  ::= (expr "=" term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= num | "(" expr ")"
num   ::= [0-9]+
)gbnf");
  EXPECT_TRUE(matches(grammar, "1+2*(3-4)=5\n"));
  EXPECT_TRUE(matches(grammar, "1=1\n22=22\n"));
  EXPECT_FALSE(matches(grammar, "1+=5\n"));
  EXPECT_FALSE(matches(grammar, "(1=5\n"));
  EXPECT_FALSE(matches(grammar, ""));
}

TEST(Gbnf, ReadsLiteralsClassesAndBounds) {
  const auto grammar = compile(R"gbnf(root ::= "a\"\x41\u00e9" [^a-z\]]{2,3} . [\-x]{2} "."? [0-9]{,2} tail
tail ::=
  "t" | # a comment | "u"
  ("v"
   "w")
  | ""
)gbnf");
  EXPECT_TRUE(matches(grammar, "a\"A\xC3\xA9ZZ!x-"));
  EXPECT_TRUE(matches(grammar, "a\"A\xC3\xA9ZZZ\xE2\x82\xAC-x.12vw"));
  EXPECT_FALSE(matches(grammar, "a\"A\xC3\xA9Z]!x-"));
  EXPECT_FALSE(matches(grammar, "a\"A\xC3\xA9ZZZ!x-123"));
  EXPECT_FALSE(matches(grammar, "a\"A\xC3\xA9ZZZ!x-u"));
}

TEST(Gbnf, FollowsRecursionOnTheRightAndInTheMiddle) {
  const auto grammar = compile("root ::= \"(\" root \")\" | rest\nrest ::= \"a\" rest | \"\"");
  EXPECT_TRUE(matches(grammar, "(((aaa)))"));
  EXPECT_TRUE(matches(grammar, std::string(2000, 'a')));
  EXPECT_FALSE(matches(grammar, "((a)"));
  EXPECT_TRUE(matches(grammar, ""));
}

TEST(Gbnf, StopsWhereTheStackIsUsedUp) {
  const auto grammar = compile("root ::= \"(\" root \")\" | \"x\"");
  EXPECT_TRUE(matches(grammar, std::string(500, '(') + "x" + std::string(500, ')')));
  Matcher matcher(grammar);
  const int32_t open = test_token("(");
  size_t depth = 0;
  while (matcher.push(open)) ++depth;
  EXPECT_LE(depth, 512U);
  EXPECT_TRUE(matcher.push(test_token("x")));
}

TEST(Gbnf, NamesWhatIsWrongAndWhere) {
  EXPECT_THAT(error_of("root ::= \"a\" foo\nroot2 ::= \"b\""),
              HasSubstr("line 1, column 14: rule 'foo' is used but not defined"));
  EXPECT_THAT(error_of("top ::= \"a\""), HasSubstr("no rule 'root'"));
  EXPECT_THAT(error_of(""), HasSubstr("no rule 'root'"));
  EXPECT_THAT(error_of("root ::= \"a\"\nroot ::= \"b\""),
              HasSubstr("line 2, column 1: the rule is defined twice"));
  EXPECT_THAT(error_of("root ::= (\"a\""), HasSubstr("')' is missing"));
  EXPECT_THAT(error_of("root ::= \"a\")"), HasSubstr("')' without '('"));
  EXPECT_THAT(error_of("root ::= \"a"), HasSubstr("does not end"));
  EXPECT_THAT(error_of("root ::= [a"), HasSubstr("does not end"));
  EXPECT_THAT(error_of("root ::= [z-a]"), HasSubstr("runs backwards"));
  EXPECT_THAT(error_of("root ::= \"\\q\""), HasSubstr("unknown escape '\\q'"));
  EXPECT_THAT(error_of("root ::= *"), HasSubstr("unexpected '*'"));
  EXPECT_THAT(error_of("root ::= \"a\"{3,2}"), HasSubstr("the wrong way round"));
  EXPECT_THAT(error_of("root ::= \"a\"{}"), HasSubstr("expected {m}"));
  EXPECT_THAT(error_of("root ::= \"a\"{3000000000}"), HasSubstr("the number is too large"));
  EXPECT_THAT(error_of("root ::= <think>"), HasSubstr("angle brackets"));
  EXPECT_THAT(error_of("hello"), HasSubstr("expected a rule"));
  EXPECT_THAT(error_of("root ::= \"\xFF\""), HasSubstr("UTF-8 at byte 10"));
}

TEST(Gbnf, RefusesRulesThatCannotBeFollowed) {
  EXPECT_THAT(error_of("root ::= root \"a\" | \"b\""),
              HasSubstr("'root' refers to itself before it matches"));
  EXPECT_THAT(error_of("root ::= \"x\" a\na ::= [0-9]* b\nb ::= \"c\"? a"), HasSubstr("refers to itself"));
  EXPECT_THAT(error_of("root ::= \"a\" root"), HasSubstr("no text at all"));
}

}  // namespace
}  // namespace beryl::text::grammar
