#include "text/json_scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"

namespace beryl::text {
namespace {

// What `work` complains about, or "nothing".
template <typename Work>
std::string complaint(Work work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    return error.message();
  }
  return "nothing";
}

TEST(JsonScanner, WalksThroughNestedValues) {
  JsonScanner scanner(" { \"a\" : [ 1 , 23 ], \"b\":\"\\u00e9\" } ", "s");
  scanner.expect('{');
  EXPECT_EQ(scanner.read_string(), "a");
  EXPECT_TRUE(scanner.last_string_is_in_text());
  scanner.expect(':');
  scanner.expect('[');
  EXPECT_FALSE(scanner.consume(']'));
  EXPECT_EQ(scanner.read_index(), 1);
  EXPECT_TRUE(scanner.has_more(']'));
  EXPECT_EQ(scanner.read_index(), 23);
  EXPECT_FALSE(scanner.has_more(']'));
  EXPECT_TRUE(scanner.has_more('}'));
  EXPECT_EQ(scanner.read_string(), "b");
  scanner.expect(':');
  EXPECT_EQ(scanner.read_string(), "\u00E9");
  EXPECT_FALSE(scanner.last_string_is_in_text());
  EXPECT_FALSE(scanner.has_more('}'));
  scanner.expect_end();
}

TEST(JsonScanner, StringsEqualTheOtherJsonReader) {
  for (const std::string text :
       {R"("")", R"("plain")", R"("\"\\\/\b\f\n\r\t")", R"("a\nb\nc")", R"("\u0000\u0041\uFFFF\uffff")",
        R"("\ud83e\udd99 \uDBFF\uDFFF")", "\"\u2581\u4E2D\U0001F999\"", R"("\\")", R"("tail\\n")"}) {
    JsonScanner scanner(text, "s");
    EXPECT_EQ(scanner.read_string(), parse_json(text, "s").get<std::string>()) << text;
    scanner.expect_end();
  }
}

TEST(JsonScanner, RefusesBrokenStrings) {
  for (const std::string text : {R"()", R"(a)", R"(")", R"("a)", R"("a\)", R"("a\")", R"("\x41")",
                                 R"("\u12")", R"("\u123g")", R"("\ud800")", R"("\ud800x")", R"("\ud800\n")",
                                 R"("\ud800\u0041")", R"("\udc00")", "\"a\nb\"", "\"a\tb\""}) {
    JsonScanner scanner(text, "s");
    EXPECT_THAT(complaint([&] { scanner.read_string(); }), testing::StartsWith("s: not valid at byte "))
        << text;
  }
}

TEST(JsonScanner, ReadsOnlyPlainIntegers) {
  for (const auto& [text, value] :
       {std::pair("0", 0), {"7,", 7}, {"262143 }", 262143}, {"2147483647", INT32_MAX}}) {
    EXPECT_EQ(JsonScanner(text, "s").read_index(), value);
  }
  for (const std::string_view text : {"", "-1", "+1", "1.0", "1e3", "00", "01", "2147483648",
                                      "99999999999999999999", "1x", "\"1\"", "true"}) {
    JsonScanner scanner(text, "s");
    EXPECT_THAT(complaint([&] { scanner.read_index(); }), testing::HasSubstr("integer")) << text;
  }
}

TEST(JsonScanner, SkipsOneValue) {
  for (const std::string_view value : {"1", "-1.5e3", "null", "true", "\"\"", "\"a\\\"b\"", "\"[{\"", "[]",
                                       "{}", "[1,[2,{\"a\":[]}],\"]\"]", "{\"a\":{\"b\":\"}\"}}"}) {
    const std::string text = " " + std::string(value) + " ,x";
    JsonScanner scanner(text, "s");
    EXPECT_EQ(scanner.skip_value(), value);
    EXPECT_TRUE(scanner.consume(','));
  }
}

TEST(JsonScanner, SkippingStopsAtTheEndOfTheText) {
  for (const std::string_view text :
       {"", " ", "[", "[[", "{\"a\"", "\"", "\"\\", "\"\\\"", "[\"", "]", ",", ":"}) {
    JsonScanner scanner(text, "s");
    EXPECT_NE(complaint([&] { scanner.skip_value(); }), "nothing") << text;
  }
}

TEST(JsonScanner, DepthCostsNoStack) {
  const std::string text = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  JsonScanner scanner(text, "s");
  EXPECT_EQ(scanner.skip_value().size(), text.size());
}

TEST(JsonScanner, NamesSourceAndPosition) {
  JsonScanner scanner("[1 2]", "some.json");
  scanner.expect('[');
  scanner.read_index();
  EXPECT_EQ(complaint([&] { scanner.has_more(']'); }), "some.json: not valid at byte 3: expected ',' or ']'");
}

}  // namespace
}  // namespace beryl::text
