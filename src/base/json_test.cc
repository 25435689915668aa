#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/error.h"

namespace beryl {
namespace {

using ::testing::HasSubstr;

std::string refusal(std::string_view text, JsonLimits limits = {}) {
  try {
    parse_json(text, "x.json", limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    EXPECT_THAT(error.message(), HasSubstr("x.json: "));
    EXPECT_LT(error.message().size(), 400U);
    return error.message();
  }
  return "";
}

TEST(Json, ParsesOneValue) {
  const nlohmann::json value = parse_json(" {\"a\": [1, -2, 2.5, true, null, \"\\u00e9\"]} \n", "x.json");
  EXPECT_EQ(value.at("a").at(0), 1);
  EXPECT_EQ(value.at("a").at(1), -2);
  EXPECT_EQ(value.at("a").at(2), 2.5);
  EXPECT_EQ(value.at("a").at(5), "é");
}

TEST(Json, KeepsTheOrderOfKeysWhereAsked) {
  const nlohmann::ordered_json value =
      parse_ordered_json(R"({"b": {"z": 1, "a": [{"y": 2, "x": {}}]}, "a": null, "B": "c"})", "x.json");
  EXPECT_EQ(value.dump(), R"({"b":{"z":1,"a":[{"y":2,"x":{}}]},"a":null,"B":"c"})");
  EXPECT_THROW(parse_ordered_json(R"({"a":1,"b":2,"\u0061":3})", "x.json"), Error);
  EXPECT_EQ(parse_ordered_json(R"([{"a":1},{"a":{"a":1}}])", "x.json").dump(), R"([{"a":1},{"a":{"a":1}}])");
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\":}", "{'a':1}", "01", "1.", "NaN", "nul", "1 2",
                           "{}{}", "// comment\n1", "\"\\x\"", "\"\\ud800\"", "\"\xff\"", "\"a\nb\""}) {
    EXPECT_THAT(refusal(text), HasSubstr("not valid JSON at byte")) << text;
  }
}

TEST(Json, RefusesAWholeTextWithANul) {
  EXPECT_THAT(refusal(std::string_view("{}\0", 3)), HasSubstr("byte 2: a NUL"));
  EXPECT_THAT(refusal(std::string_view("{}\0garbage", 10)), HasSubstr("byte 2: a NUL"));
  EXPECT_THAT(refusal(std::string_view("\0{}", 3)), HasSubstr("byte 0: a NUL"));
}

TEST(Json, RefusesRepeatedKeysHoweverEscaped) {
  EXPECT_THAT(refusal(R"({"a":1,"a":1})"), HasSubstr("key 'a' appears twice"));
  EXPECT_THAT(refusal(R"({"b":{"a":1,"\u0061":2}})"), HasSubstr("key 'a' appears twice"));
  EXPECT_THAT(refusal(R"({"\u001b[31m":1,"\u001b[31m":1})"), HasSubstr("key '\\x1b[31m' appears twice"));
  EXPECT_EQ(refusal(R"({"a":{"a":1},"b":{"a":1}})"), "");
}

TEST(Json, BoundsDepthAndNumberOfValues) {
  const JsonLimits limits{.depth_max = 3, .values_max = 5};
  EXPECT_EQ(refusal("[[[1]]]", limits), "");
  EXPECT_THAT(refusal("[[[[]]]]", limits), HasSubstr("nested deeper than 3"));
  EXPECT_EQ(refusal("[1,2,3,4]", limits), "");
  EXPECT_THAT(refusal("[1,2,3,4,5]", limits), HasSubstr("more than 5 JSON values"));
  EXPECT_THAT(refusal(std::string(1'000'000, '[')), HasSubstr("nested deeper than 64"));
}

TEST(Json, MessagesAreShortAndPrintable) {
  EXPECT_THAT(refusal("\"" + std::string(1'000'000, 'a')), HasSubstr("not valid JSON"));
  const std::string message = refusal("\"\x1b[31m\xff");
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_EQ(message.find('\xff'), std::string::npos);
}

}  // namespace
}  // namespace beryl
