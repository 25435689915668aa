#include "text/template/lexer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace beryl::text {
namespace {

using ::testing::HasSubstr;

// "kind@line:column text" of each token, as T text, V variable, B block, n name, s string, i integer, f
// float, o operator, E end.
std::string tokens_of(const std::string& source) {
  constexpr std::string_view kLetters = "TVvBbnsifoE";
  std::string result;
  for (const Token& token : parse_tokens(source, "t")) {
    result += kLetters[static_cast<size_t>(token.kind)];
    result += std::to_string(token.position.line) + ":" + std::to_string(token.position.column) + " " +
              std::string(token.text) + "|";
  }
  return result;
}

std::string refusal(const std::string& source) {
  try {
    parse_tokens(source, "t");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    return error.message();
  }
  return "";
}

TEST(Lexer, KnowsWhereEachTokenStands) {
  EXPECT_EQ(tokens_of("a\n {{ x.y }}\n{% if 1 %}"),
            "T1:1 a\n |V2:2 {{|n2:5 x|o2:6 .|n2:7 y|v2:9 }}|T2:11 \n|B3:1 {%|n3:4 if|i3:7 1|b3:9 %}|E3:11 |");
}

TEST(Lexer, TakesTheLongestToken) {
  EXPECT_EQ(tokens_of("{{ 1.5e-3**0x1F//2>=3 }}"),
            "V1:1 {{|f1:4 1.5e-3|o1:10 **|i1:12 0x1F|o1:16 //|i1:18 2|o1:19 >=|i1:21 3|v1:23 }}|E1:25 |");
  EXPECT_EQ(tokens_of("{{ 1.x }}"), "V1:1 {{|i1:4 1|o1:5 .|n1:6 x|v1:8 }}|E1:10 |");
}

TEST(Lexer, BracesInBracketsDoNotEnd) {
  EXPECT_EQ(tokens_of("{{ {1:{}} }}"), "V1:1 {{|o1:4 {|i1:5 1|o1:6 :|o1:7 {|o1:8 }|o1:9 }|v1:11 }}|E1:13 |");
  EXPECT_EQ(tokens_of("{{ '}}' }}"), "V1:1 {{|s1:4 '}}'|v1:9 }}|E1:11 |");
}

TEST(Lexer, NamesThePlaceOfWhatIsNotClosed) {
  EXPECT_EQ(refusal("a\n{{ x"), "t:2:1: this is never closed with }}");
  EXPECT_EQ(refusal("a\n  {% if"), "t:2:3: this is never closed with %}");
  EXPECT_EQ(refusal("\n\n {# x"), "t:3:2: this comment is never closed with #}");
  EXPECT_THAT(refusal("{% raw %}{% endraw"), HasSubstr("t:1:1: this raw block is never closed"));
  EXPECT_EQ(refusal("{{ 'abc }}"), "t:1:4: this string has no closing quote");
  EXPECT_EQ(refusal("{{ (] }}"), "t:1:5: unexpected ']', expected ')'");
  EXPECT_EQ(refusal("{{ x ) }}"), "t:1:6: unexpected ')'");
  EXPECT_EQ(refusal("{{ x ? }}"), "t:1:6: unexpected character '?'");
}

TEST(Lexer, NormalizesLineEnds) {
  EXPECT_EQ(normalize_line_ends("a\r\nb\rc\n\r\n"), "a\nb\nc\n");
  EXPECT_EQ(normalize_line_ends("a\n\n"), "a\n");
  EXPECT_EQ(normalize_line_ends("\r"), "");
  EXPECT_EQ(normalize_line_ends(""), "");
}

}  // namespace
}  // namespace beryl::text
