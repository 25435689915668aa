#include "text/grammar/tool_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/grammar/grammar_for_tests.h"
#include "text/output_parser.h"

namespace beryl::text::grammar {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

std::vector<ordered_json> tools() {
  return {ordered_json::parse(
              R"({"type":"function","function":{"name":"get_weather","parameters":{"type":"object",
            "properties":{"city":{"type":"string"},"Days":{"type":"integer","minimum":1,"maximum":14},
              "where":{"type":"object","properties":{"lat":{"type":"number"},"odd key":{"enum":["a","b"]}}},
              "tags":{"type":"array","items":{"type":"string"}}},
            "required":["city"]}}})"),
          ordered_json::parse(R"({"type":"function","function":{"name":"now"}})")};
}

std::shared_ptr<CompiledGrammar> compile(const ToolCallOptions& options) {
  return compile_for_test([&](Grammar& grammar) { parse_tool_calls(grammar, tools(), options); });
}

TEST(ToolCalls, FollowGemmasSyntax) {
  const auto grammar = compile({.begins_inside_call = true});
  EXPECT_TRUE(matches(grammar, "call:now{}<tool_call|>"));
  EXPECT_TRUE(matches(grammar, "call:get_weather{city:<|\"|>Par\"is\n<|\"|>}<tool_call|>"));
  EXPECT_TRUE(matches(
      grammar,
      "call:get_weather{city:<|\"|>x<|\"|>,Days:14,tags:[<|\"|>a<|\"|>,<|\"|><|\"|>],"
      "where:{lat:-1.5,<|\"|>odd key<|\"|>:<|\"|>b<|\"|>}}<tool_call|><|tool_call>call:now{}<tool_call|>"));
  EXPECT_FALSE(matches(grammar, "call:get_weather{}<tool_call|>"));
  EXPECT_FALSE(matches(grammar, "call:get_weather{city:Paris}<tool_call|>"));
  EXPECT_FALSE(matches(grammar, "call:get_weather{city:<|\"|>x<|\"|>,Days:15}<tool_call|>"));
  EXPECT_FALSE(matches(grammar, "call:get_weather{Days:1,city:<|\"|>x<|\"|>}<tool_call|>"));  // not sorted
  EXPECT_FALSE(matches(grammar, "call:other{}<tool_call|>"));
  EXPECT_FALSE(matches(grammar, "call:now{}"));
}

TEST(ToolCalls, AreForcedNamedOrSingle) {
  const auto forced = compile({.begins_inside_call = false});
  EXPECT_TRUE(matches(forced, "<|tool_call>call:now{}<tool_call|>"));
  EXPECT_FALSE(matches(forced, ""));
  EXPECT_FALSE(matches(forced, "call:now{}<tool_call|>"));
  const auto named = compile({.begins_inside_call = false, .only_tool = "now"});
  EXPECT_TRUE(matches(named, "<|tool_call>call:now{}<tool_call|>"));
  EXPECT_FALSE(matches(named, "<|tool_call>call:get_weather{city:<|\"|>x<|\"|>}<tool_call|>"));
  const auto single = compile({.begins_inside_call = false, .allows_several = false});
  EXPECT_TRUE(matches(single, "<|tool_call>call:now{}<tool_call|>"));
  EXPECT_FALSE(matches(single, "<|tool_call>call:now{}<tool_call|><|tool_call>call:now{}<tool_call|>"));
  Matcher matcher(single);
  for (const int32_t token :
       test_tokenizer().encode("<|tool_call>call:now{}<tool_call|>", SpecialTokens::kRecognise)) {
    EXPECT_FALSE(matcher.must_end());
    EXPECT_TRUE(matcher.push(token));
  }
  EXPECT_TRUE(matcher.must_end());
  EXPECT_TRUE(matcher.accepts(test_token("<|tool_response>")));
}

TEST(ToolCalls, AreReadByTheOutputParser) {
  const auto grammar = compile({.begins_inside_call = false});
  std::mt19937 random(3);
  for (int i = 0; i < 60; ++i) {
    const std::string text = random_output(grammar, random, 80);
    OutputParser parser(OutputStart::kContent);
    for (const int32_t id : test_tokenizer().encode(text, SpecialTokens::kRecognise)) {
      const auto marker = find_output_marker(test_tokenizer().token_text(id));
      if (marker && test_tokenizer().is_special(id)) {
        parser.push_marker(*marker);
      } else {
        parser.push_text(test_tokenizer().decode(std::span(&id, 1), SpecialOutput::kKeep));
      }
    }
    parser.finish(OutputEnd::kStopped);
    EXPECT_EQ(parser.output().content, "") << text;
    ASSERT_FALSE(parser.output().tool_calls.empty()) << text;
    for (const ParsedToolCall& call : parser.output().tool_calls) {
      const auto arguments = ordered_json::parse(call.arguments, nullptr, false);
      ASSERT_TRUE(arguments.is_object()) << call.arguments;
      if (call.name == "get_weather") {
        EXPECT_TRUE(arguments.at("city").is_string());
        if (arguments.contains("Days")) EXPECT_TRUE(arguments.at("Days") >= 1 && arguments.at("Days") <= 14);
      }
    }
  }
}

TEST(ToolCalls, NameWhatIsWrong) {
  const auto error_of = [](const std::vector<ordered_json>& declared,
                           const ToolCallOptions& options) -> std::string {
    try {
      compile_for_test([&](Grammar& grammar) { parse_tool_calls(grammar, declared, options); });
    } catch (const Error& error) {
      return error.message();
    }
    return "no error";
  };
  EXPECT_THAT(error_of({}, {}), HasSubstr("no tool that could be called"));
  EXPECT_THAT(error_of(tools(), {.only_tool = "foo"}), HasSubstr("no tool 'foo'"));
  EXPECT_THAT(error_of({ordered_json::parse(R"({"function":{}})")}, {}), HasSubstr("tool 0 has no name"));
  EXPECT_THAT(
      error_of({ordered_json::parse(R"({"function":{"name":"f","parameters":{"type":"array"}}})")}, {}),
      HasSubstr("tool 'f': the type of 'parameters' is \"array\""));
  const std::vector<ordered_json> odd{
      ordered_json::parse(R"({"function":{"name":"f","parameters":{"properties":{"a":{"not":{}}}}}})")};
  EXPECT_EQ(error_of(odd, {}), "no error");
  EXPECT_THAT(error_of(odd, {.unsupported = Unsupported::kRefuse}),
              HasSubstr("tool 'f': schema at '/properties/a'"));
}

}  // namespace
}  // namespace beryl::text::grammar
