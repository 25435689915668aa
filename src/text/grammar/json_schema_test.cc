#include "text/grammar/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/grammar/grammar_for_tests.h"

namespace beryl::text::grammar {
namespace {

using testing::HasSubstr;

std::shared_ptr<CompiledGrammar> compile(std::string_view schema) {
  return compile_for_test([&](Grammar& grammar) { parse_json_schema_output(grammar, schema); });
}

std::string error_of(std::string_view schema) {
  try {
    compile(schema);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

// All of `good` match, none of `bad`.
void expect_values(std::string_view schema, const std::vector<std::string>& good,
                   const std::vector<std::string>& bad) {
  const auto grammar = compile(schema);
  for (const std::string& text : good) EXPECT_TRUE(matches(grammar, text)) << schema << " refuses " << text;
  for (const std::string& text : bad) EXPECT_FALSE(matches(grammar, text)) << schema << " allows " << text;
}

TEST(JsonSchema, ReadsObjectsInTheOrderOfDeclaration) {
  expect_values(
      R"({"type":"object","properties":{"b":{"type":"integer"},"a":{"type":"boolean"},"c":{"type":"null"}},
                    "required":["a"]})",
      {R"({"b": 1, "a": true, "c": null})", R"({"a":false})", R"({"a":false,"c":null})",
       "{\n  \"b\": 1,\n  \"a\": true\n}"},
      {R"({"a":true,"b":1})", R"({"b":1})", "{}", R"({"a":true,"d":1})", R"({"a":true,})",
       R"({"b":1 ,"a":true})", "{\n\n\"a\":true}"});
}

TEST(JsonSchema, BoundsWhiteSpace) {
  const auto grammar = compile(R"({"type":"object","properties":{"a":{}},"required":["a"]})");
  EXPECT_TRUE(matches(grammar, "{\n" + std::string(64, ' ') + "\"a\":1}"));
  EXPECT_FALSE(matches(grammar, "{\n" + std::string(65, ' ') + "\"a\":1}"));
  EXPECT_FALSE(matches(grammar, "{  \"a\":1}"));
}

TEST(JsonSchema, ReadsFurtherProperties) {
  expect_values(
      R"({"type":"object","properties":{"ab":{"type":"integer"}},"additionalProperties":{"type":"string"}})",
      {R"({"ab":1,"a":"x","abc":"y","":"z"})", R"({"b":"x"})", "{}", R"({"a\"\n":"x"})"},
      {R"({"ab":"x"})", R"({"a":1})", R"({"a\u0062":"x"})", R"({"ab":1,"ab":"x"})"});
  expect_values(R"({"type":"object"})", {R"({"any":[1,{"x":null}],"b":-1.5e3})", "{}"}, {"[]", "{\"a\"}"});
  expect_values(
      R"({"type":"object","additionalProperties":{"type":"integer"},"minProperties":1,"maxProperties":2})",
      {R"({"a":1})", R"({"a":1,"b":2})"}, {"{}", R"({"a":1,"b":2,"c":3})", R"({"a":"x"})"});
  expect_values(
      R"({"type":"object","patternProperties":{"^x_":{"type":"integer"}},"additionalProperties":false})",
      {R"({"x_1":1,"x_":2})", "{}"}, {R"({"y":1})", R"({"x_":"s"})"});
  expect_values(
      R"({"type":"object","propertyNames":{"enum":["a","b"]},"additionalProperties":{"type":"integer"}})",
      {R"({"a":1,"b":2})"}, {R"({"c":1})"});
  expect_values(R"({"type":"object","required":["q"],"properties":{"p":{"type":"null"}}})",
                {R"({"q":[1]})", R"({"p":null,"q":1})"}, {R"({"p":null})"});
}

TEST(JsonSchema, ReadsArrays) {
  expect_values(R"({"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3})",
                {"[1,2]", "[1, 2, 3]", "[\n 1,\n 2\n]"}, {"[1]", "[1,2,3,4]", "[]", "[1,\"2\"]", "[1,2,]"});
  expect_values(
      R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"minItems":1,"items":{"type":"null"}})",
      {"[1]", R"([1,"a"])", R"([1,"a",null,null])"}, {"[]", "[1,null]", R"(["a"])"});
  expect_values(R"({"type":"array","items":[{"type":"integer"}],"additionalItems":false})", {"[]", "[1]"},
                {"[1,2]"});
  expect_values(R"({"type":"array","maxItems":0})", {"[]", "[ ]"}, {"[1]"});
  expect_values(R"({"type":"array","items":false})", {"[]"}, {"[1]"});
}

TEST(JsonSchema, ReadsStrings) {
  expect_values(R"({"type":"string"})", {R"("a\n\u00e9\/\\")", "\"\xF0\x9F\x98\x80\"", "\"\""},
                {"\"a\nb\"", R"("\ud800")", R"("\x")", "a", "\"a"});
  expect_values(R"({"type":"string","minLength":2,"maxLength":3})",
                {R"("ab")", "\"\xC3\xA9\xC3\xA9\xC3\xA9\"", R"("\n\u00e9")"}, {R"("a")", R"("abcd")"});
  expect_values(R"({"type":"string","pattern":"^[a-z\"\\n]+$"})", {R"("ab")", R"("a\"\n")"},
                {R"("A")", R"("")", R"("\u0061")"});
  expect_values(R"({"type":"string","pattern":"b\\d"})", {R"("ab1c")"}, {R"("bb")"});
  expect_values(R"({"type":"string","pattern":"^[A-Z]+$","maxLength":3})", {R"("ABC")"},
                {R"("ABCD")", R"("")"});
}

TEST(JsonSchema, KnowsFormats) {
  const auto format = [](std::string_view name, const std::vector<std::string>& good,
                         const std::vector<std::string>& bad) {
    const auto quoted = [](const std::vector<std::string>& texts) {
      std::vector<std::string> result;
      for (const std::string& text : texts) result.push_back("\"" + text + "\"");
      return result;
    };
    expect_values("{\"type\":\"string\",\"format\":\"" + std::string(name) + "\"}", quoted(good),
                  quoted(bad));
  };
  format("date", {"2024-01-31", "1999-12-01"}, {"2024-02-30", "2024-13-01", "24-01-01"});
  format("time", {"23:59:59Z", "00:00:00.5+02:00"}, {"24:00:00Z", "12:00:00"});
  format("date-time", {"2024-06-30T12:00:00Z"}, {"2024-06-31T12:00:00Z", "2024-06-30 12:00:00Z"});
  format("duration", {"P1Y2M3DT4H5M6S", "PT5M", "P3W", "P1D"}, {"P", "P1Y3D", "PT", "5M"});
  format("uuid", {"123e4567-e89b-12d3-a456-426614174000"}, {"123e4567e89b12d3a456426614174000"});
  format("email", {"a.b+c@example.co.uk"}, {"a@b", "@example.org", "a b@c.de"});
  format("hostname", {"www.example.org", "localhost"}, {"-a.org", "a..b"});
  format("ipv4", {"192.168.0.255"}, {"256.1.1.1", "1.1.1", "01.1.1.1"});
  format("ipv6", {"2001:db8::8a2e:370:7334", "::", "::1", "1:2:3:4:5:6:7:8", "fe80::"},
         {"1::2::3", "12345::", "1:2:3"});
  format("uri", {"https://example.org:80/a/b?c=d#e", "ftp://x"}, {"example.org", "http://", "http://a b"});
  format("byte", {"", "TWFu", "TWE=", "TQ=="}, {"T", "TWE"});
  EXPECT_THAT(error_of(R"({"type":"string","format":"color"})"),
              HasSubstr("format \"color\" is not supported"));
}

TEST(JsonSchema, ReadsNumbers) {
  expect_values(R"({"type":"integer"})", {"0", "-7", "12345678901234567890"},
                {"-0", "007", "1.0", "+1", "1e3", "123456789012345678901"});
  expect_values(R"({"type":"number"})", {"0", "-0.5", "1.25e-3", "3E+7", "10"},
                {".5", "1.", "01", "1e100", "NaN"});
  expect_values(R"({"type":"integer","minimum":-5,"maximum":120})", {"-5", "-1", "0", "9", "99", "120"},
                {"-6", "121", "-0", "1000"});
  expect_values(R"({"type":"integer","minimum":98,"exclusiveMaximum":1002})",
                {"98", "99", "100", "999", "1000", "1001"}, {"97", "1002", "0", "-98"});
  expect_values(R"({"type":"integer","minimum":0.5,"maximum":2.5})", {"1", "2"}, {"0", "3"});
  expect_values(R"({"type":"integer","exclusiveMinimum":-3,"maximum":-1})", {"-2", "-1"}, {"-3", "0", "1"});
  expect_values(R"({"type":"integer","minimum":1000})", {"1000", "9999999999"}, {"999"});
  expect_values(R"({"type":"number","minimum":0,"maximum":1})", {"0", "1", "0.5", "0.999", "1.0", "0.0"},
                {"1.01", "-0.1", "2", "1e0", "-0"});
  expect_values(R"({"type":"number","exclusiveMinimum":0.25,"exclusiveMaximum":12.5})",
                {"0.251", "0.26", "1", "9.99", "12", "12.49", "12.0"},
                {"0.25", "0.250", "12.5", "12.51", "0.2", "0", "13"});
  expect_values(R"({"type":"number","maximum":-1.5})", {"-1.5", "-1.51", "-2", "-100.25"},
                {"-1.4", "-1", "1.5", "0"});
  expect_values(R"({"type":"integer","minimum":5,"exclusiveMinimum":true})", {"6"}, {"5"});
  expect_values(R"({"type":"integer","format":"int32","minimum":0})", {"2147483647"}, {"2147483648", "-1"});
  EXPECT_THAT(error_of(R"({"type":"integer","minimum":3,"maximum":2})"), HasSubstr("no text at all"));
  EXPECT_THAT(error_of(R"({"type":"integer","multipleOf":3})"), HasSubstr("'multipleOf' other than 1"));
}

TEST(JsonSchema, ReadsListedValues) {
  expect_values(R"({"enum":["a","a\"b",1,1.5,null,true,{"k":[1,"x"]}]})",
                {R"("a")", R"("a\"b")", "1", "1.5", "null", "true", R"({"k":[1,"x"]})", R"({"k": [1, "x"]})"},
                {R"("b")", "2", "false", R"({"k":[1]})", "{}"});
  expect_values(R"({"type":"string","enum":["a",1]})", {R"("a")"}, {"1"});
  expect_values(R"({"const":"only"})", {R"("only")"}, {R"("other")"});
  EXPECT_THAT(error_of(R"({"enum":["a"],"minLength":1})"), HasSubstr("'minLength' beside 'enum'"));
}

TEST(JsonSchema, CombinesSchemas) {
  expect_values(R"({"anyOf":[{"type":"string"},{"type":"integer"}]})", {R"("a")", "1"}, {"true", "1.5"});
  expect_values(R"({"type":["string","null"]})", {R"("a")", "null"}, {"1"});
  expect_values(R"({"type":"string","nullable":true})", {R"("a")", "null"}, {"1"});
  expect_values(
      R"({"oneOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind","x"]},
                             {"type":"object","properties":{"kind":{"const":"b"}},"required":["kind"]}]})",
      {R"({"kind":"a","x":1})", R"({"kind":"b"})"}, {R"({"kind":"b","x":1})", R"({"kind":"a"})"});
  expect_values(
      R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer","minimum":3}},"required":["a"]},
                             {"properties":{"a":{"maximum":5},"b":{"type":"null"}},"required":["b"]}]})",
      {R"({"a":3,"b":null})", R"({"a":5,"b":null})"},
      {R"({"a":2,"b":null})", R"({"a":6,"b":null})", R"({"a":3})"});
  expect_values(R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},
                    "anyOf":[{"required":["a"]},{"required":["b"]}],"additionalProperties":false})",
                {R"({"a":1})", R"({"b":1})", R"({"a":1,"b":2})"}, {"{}"});
  EXPECT_THAT(error_of(R"({"oneOf":[{"type":"number"},{"type":"integer"}]})"),
              HasSubstr("branches 0 and 1 of 'oneOf' may both"));
}

TEST(JsonSchema, FollowsReferences) {
  expect_values(
      R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},
                    "next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"]}}})",
      {R"({"v":1,"next":{"v":2,"next":null}})"}, {R"({"v":1})", R"({"v":1,"next":{}})"});
  expect_values(
      R"({"type":"object","properties":{"x/y":{"type":"integer"},"z":{"$ref":"#/properties/x~1y","minimum":5}}})",
      {R"({"z":5})"}, {R"({"z":4})", R"({"z":"a"})"});
  EXPECT_THAT(error_of(R"({"$ref":"#/nowhere"})"), HasSubstr("'#/nowhere' leads nowhere"));
  EXPECT_THAT(error_of(R"({"$ref":"http://x/y"})"), HasSubstr("only references within the schema"));
  EXPECT_THAT(error_of(R"({"$ref":"#"})"), HasSubstr("refers to itself"));
  EXPECT_THAT(error_of(R"({"allOf":[{"$ref":"#"}]})"), HasSubstr("more than 256 schemas"));
  EXPECT_THAT(error_of(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})"),
              HasSubstr("no text at all"));
}

TEST(JsonSchema, NamesWhatIsNotSupported) {
  EXPECT_THAT(error_of(R"({"type":"object","properties":{"a":{"not":{}}}})"),
              HasSubstr("schema at '/properties/a': keyword 'not' is not supported"));
  EXPECT_THAT(error_of(R"({"type":"array","uniqueItems":true})"), HasSubstr("'uniqueItems'"));
  EXPECT_THAT(error_of(R"({"type":"array","contains":{}})"), HasSubstr("'contains'"));
  EXPECT_THAT(error_of(R"json({"type":"string","pattern":"(?=a)"})json"),
              HasSubstr("schema at '': regular expression"));
  EXPECT_THAT(error_of(R"({"type":"object","minProperties":2})"), HasSubstr("'minProperties' above 1"));
  EXPECT_THAT(error_of(R"({"type":"text"})"), HasSubstr("\"text\" is no type"));
  EXPECT_THAT(error_of(R"({"type":"string","minLength":-1})"),
              HasSubstr("'minLength' is -1, expected an integer"));
  EXPECT_THAT(error_of("{"), HasSubstr("JSON schema: not valid JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("a schema is an object or a boolean"));
}

TEST(JsonSchema, RelaxesWhatIsNotSupportedOnRequest) {
  const auto schema = nlohmann::ordered_json::parse(
      R"({"type":"object","properties":{"a":{"type":"array","uniqueItems":true},"b":{"type":"object","if":{}}},"required":["a","b"]})");
  std::vector<std::string> relaxed;
  const auto grammar = compile_for_test([&](Grammar& into) {
    into.set_root(parse_json_schema(into, schema, {.unsupported = Unsupported::kRelax}, &relaxed));
  });
  EXPECT_TRUE(matches(grammar, R"({"a":[1,1],"b":{"x":1}})"));
  EXPECT_TRUE(matches(grammar, R"({"a":"any","b":{}})"));
  EXPECT_FALSE(matches(grammar, R"({"a":1,"b":1})"));
  EXPECT_THAT(relaxed, testing::ElementsAre(HasSubstr("uniqueItems"), HasSubstr("'if'")));
}

TEST(JsonSchema, TakesAnyObjectOrNothingElse) {
  const auto grammar = compile_for_test([](Grammar& into) { any_json_object_output(into); });
  EXPECT_TRUE(matches(grammar, R"({"a":{"b":[1,2,{"c":"d"}]},"e":true})"));
  EXPECT_FALSE(matches(grammar, "[]"));
  EXPECT_FALSE(matches(grammar, "{}{}"));
  // As deep as ToolArguments and base/json.h read, and no deeper.
  const auto nested = [](size_t depth) {
    return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_TRUE(matches(grammar, nested(64)));
  EXPECT_FALSE(matches(grammar, nested(65)));
}

}  // namespace
}  // namespace beryl::text::grammar
