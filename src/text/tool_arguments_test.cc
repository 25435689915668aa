#include "text/tool_arguments.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace beryl::text {
namespace {

constexpr std::string_view kQuote = "<|\"|>";

// The JSON of arguments written without their opening brace, or what there was of it and a "!" when
// malformed, or and a "..." when more is expected.
std::string transcribe(std::string_view arguments) {
  ToolArguments parser;
  while (!arguments.empty() && parser.state() == ToolArguments::State::kOpen) {
    if (arguments.starts_with(kQuote)) {
      parser.push_quote();
      arguments.remove_prefix(kQuote.size());
    } else {
      arguments.remove_prefix(parser.push_text(arguments.substr(0, 1)));
    }
  }
  std::string json = parser.take_json();
  if (parser.state() == ToolArguments::State::kMalformed) return json + "!";
  if (parser.state() == ToolArguments::State::kOpen) return json + "...";
  EXPECT_EQ(arguments, "");
  EXPECT_TRUE(nlohmann::json::accept(json)) << json;
  return json;
}

TEST(ToolArgumentsTest, BareValues) {
  EXPECT_EQ(transcribe("a:true,b:false,c:null,d:none,e:nil}"),
            R"({"a":true,"b":false,"c":null,"d":null,"e":null})");
  EXPECT_EQ(transcribe("a:True,b:None,c:NULL}"), R"({"a":true,"b":null,"c":null})");
  EXPECT_EQ(transcribe("a:0,b:-12,c:1.50,d:-0.5e-7,e:1E+20}"),
            R"({"a":0,"b":-12,"c":1.50,"d":-0.5e-7,"e":1E+20})");
  EXPECT_EQ(transcribe("a:123456789012345678901234567890}"), R"({"a":123456789012345678901234567890})");
  EXPECT_EQ(transcribe("a:hello world,b:x-y}"), R"({"a":"hello world","b":"x-y"})");
  // What JSON does not take for a number stays as it is written.
  EXPECT_EQ(
      transcribe("a:007,b:+5,c:.5,d:5.,e:1e,f:0x1F,g:-,h:1.2.3,i:NaN,j:1_000}"),
      R"({"a":"007","b":"+5","c":".5","d":"5.","e":"1e","f":"0x1F","g":"-","h":"1.2.3","i":"NaN","j":"1_000"})");
  EXPECT_EQ(transcribe("a:trueish,b:nilly}"), R"({"a":"trueish","b":"nilly"})");
  EXPECT_EQ(transcribe("a:,b:}"), R"({"a":"","b":""})");
  EXPECT_EQ(transcribe("a:say \"x\" {y}"), R"({"a":"say \"x\" {y"})");
}

TEST(ToolArgumentsTest, WhiteSpaceBetweenParts) {
  EXPECT_EQ(transcribe(" a : 1 , b :\n[ 1 , x y ] , c : <|\"|> z <|\"|> }"),
            R"({"a":1,"b":[1,"x y"],"c":" z "})");
  EXPECT_EQ(transcribe(" }"), "{}");
}

TEST(ToolArgumentsTest, Keys) {
  EXPECT_EQ(transcribe("<|\"|>a b<|\"|>:1,<|\"|>,{}:<|\"|> :2}"), R"({"a b":1,",{}:":2})");
  EXPECT_EQ(transcribe("a b:1,\"c\":2}"), R"({"a b":1,"\"c\"":2})");
  EXPECT_EQ(transcribe("<|\"|><|\"|>:1}"), R"({"":1})");
}

TEST(ToolArgumentsTest, NestedValues) {
  EXPECT_EQ(transcribe("a:{b:{c:[[],{},[1,[2]]]},d:x}}"), R"({"a":{"b":{"c":[[],{},[1,[2]]]},"d":"x"}})");
  EXPECT_EQ(transcribe("a:[<|\"|>x<|\"|>,<|\"|>]}<|\"|>]}"), R"({"a":["x","]}"]})");
}

TEST(ToolArgumentsTest, TrailingCommasAreForgiven) {
  EXPECT_EQ(transcribe("a:[1,],b:{c:2,},}"), R"({"a":[1],"b":{"c":2}})");
}

TEST(ToolArgumentsTest, ControlCharactersAreEscaped) {
  EXPECT_EQ(transcribe("a:<|\"|>\"\\\n\r\t\x01\x1f/é<|\"|>}"),
            "{\"a\":\"\\\"\\\\\\n\\r\\t\\u0001\\u001f/é\"}");
}

TEST(ToolArgumentsTest, MalformedStopsAtTheCharacter) {
  for (const std::string_view arguments :
       {"a}", "a,", ":1}", ",a:1}", "a{", "a:1]", "a:[1}", "a:{b:1]", "a<|\"|>", "<|\"|>a<|\"|>x",
        "a:<|\"|>x<|\"|>y", "a:x<|\"|>", "a:[1]x", "<|\"|>a<|\"|>}", "a:<|\"|>b<|\"|><|\"|>"}) {
    EXPECT_EQ(transcribe(arguments).back(), '!') << arguments;
  }
  ToolArguments parser;
  EXPECT_EQ(parser.push_text("a:[1}, b"), 4U);
}

TEST(ToolArgumentsTest, DepthIsLimited) {
  const auto nested = [](size_t depth) {
    return "a:" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_EQ(transcribe(nested(ToolArguments::kDepthMax)).back(), '}');
  EXPECT_EQ(transcribe(nested(ToolArguments::kDepthMax + 1)).back(), '!');
  EXPECT_EQ(transcribe("a:" + std::string(1'000'000, '[')).back(), '!');
}

TEST(ToolArgumentsTest, TextAfterTheEndIsNotTaken) {
  ToolArguments parser;
  EXPECT_EQ(parser.push_text("a:1}} more"), 4U);
  EXPECT_EQ(parser.state(), ToolArguments::State::kComplete);
  EXPECT_EQ(parser.take_json(), R"({"a":1})");
}

TEST(ToolArgumentsTest, WhatIsCertainComesAtOnce) {
  ToolArguments parser;
  EXPECT_EQ(parser.take_json(), "{");
  parser.push_text("ke");
  EXPECT_EQ(parser.take_json(), "");
  parser.push_text("y:");
  EXPECT_EQ(parser.take_json(), "\"key\":");
  parser.push_quote();
  parser.push_text("ab");
  EXPECT_EQ(parser.take_json(), "\"ab");
  parser.push_quote();
  EXPECT_EQ(parser.take_json(), "\"");
  parser.push_text(",b:12");
  EXPECT_EQ(parser.take_json(), ",\"b\":");
  parser.push_text("3,");
  EXPECT_EQ(parser.take_json(), "123");
}

}  // namespace
}  // namespace beryl::text
