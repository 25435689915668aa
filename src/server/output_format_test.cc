#include "server/output_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "base/error.h"

namespace beryl::server {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using text::grammar::ChoiceConstraint;
using text::grammar::GbnfConstraint;
using text::grammar::JsonObjectConstraint;
using text::grammar::JsonSchemaConstraint;
using text::grammar::RegexConstraint;

std::optional<OutputFormat> read(const Json& body) {
  JsonFields fields(body);
  return read_output_format(fields);
}

std::string refusal_of(const Json& body, ErrorCode code = ErrorCode::kInvalidInput) {
  try {
    read(body);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    return error.message();
  }
  return "";
}

std::string refusal_of_structured(const Json& outputs, ErrorCode code = ErrorCode::kInvalidInput) {
  return refusal_of({{"structured_outputs", outputs}}, code);
}

const Json kSchema = Json::parse(R"({"type": "object", "properties": {"b": {}, "a": {}}})");

Json schema_format(Json json_schema) {
  return {{"response_format", {{"type", "json_schema"}, {"json_schema", std::move(json_schema)}}}};
}

TEST(OutputFormat, TextOfAnyKindIsNone) {
  EXPECT_FALSE(read(Json::object()));
  EXPECT_FALSE(read({{"response_format", {{"type", "text"}}}}));
  EXPECT_FALSE(
      read({{"response_format", nullptr}, {"structured_outputs", nullptr}, {"guided_json", nullptr}}));
}

TEST(OutputFormat, ReadsOpenAisForm) {
  auto format = read(schema_format({{"name", "x"}, {"strict", true}, {"schema", kSchema}}));
  ASSERT_TRUE(format);
  EXPECT_EQ(format->field, "response_format.json_schema.schema");
  // The order of properties is the order in which they are written.
  EXPECT_EQ(std::get<JsonSchemaConstraint>(format->constraint).schema,
            R"({"type":"object","properties":{"b":{},"a":{}}})");
  format = read({{"response_format", {{"type", "json_object"}}}});
  ASSERT_TRUE(format);
  EXPECT_EQ(format->field, "response_format");
  EXPECT_TRUE(std::holds_alternative<JsonObjectConstraint>(format->constraint));
}

TEST(OutputFormat, ReadsVllmsForm) {
  const auto read_one = [](const char* name, const Json& value) {
    const auto format = read({{"structured_outputs", {{"backend", nullptr}, {name, value}}}});
    EXPECT_EQ(format->field, std::string("structured_outputs.") + name);
    return format->constraint;
  };
  EXPECT_EQ(std::get<JsonSchemaConstraint>(read_one("json", kSchema)).schema, kSchema.dump());
  EXPECT_EQ(std::get<JsonSchemaConstraint>(read_one("json", R"({"type": "null"})")).schema,
            R"({"type": "null"})");
  EXPECT_EQ(std::get<RegexConstraint>(read_one("regex", "a+")).pattern, "a+");
  EXPECT_THAT(std::get<ChoiceConstraint>(read_one("choice", {"x", "y"})).choices, ElementsAre("x", "y"));
  EXPECT_EQ(std::get<GbnfConstraint>(read_one("grammar", "root ::= \"x\"")).text, "root ::= \"x\"");
  EXPECT_TRUE(std::holds_alternative<JsonObjectConstraint>(read_one("json_object", true)));
}

TEST(OutputFormat, NamesTheFieldThatIsWrong) {
  EXPECT_THAT(refusal_of({{"response_format", "json"}}), StartsWith("response_format: expected an object"));
  EXPECT_THAT(refusal_of({{"response_format", Json::object()}}),
              StartsWith("response_format.type: is missing"));
  EXPECT_THAT(refusal_of({{"response_format", {{"type", "xml"}}}}),
              AllOf(StartsWith("response_format.type: "), HasSubstr("'xml'")));
  EXPECT_THAT(refusal_of({{"response_format", {{"type", "json_schema"}}}}),
              StartsWith("response_format.json_schema: is missing"));
  EXPECT_THAT(refusal_of(schema_format({{"name", "x"}})),
              StartsWith("response_format.json_schema.schema: is missing"));
  EXPECT_THAT(refusal_of(schema_format({{"schema", 7}})),
              StartsWith("response_format.json_schema.schema: expected a JSON schema, found a number"));
  EXPECT_THAT(refusal_of(schema_format({{"schema", kSchema}, {"strict", "yes"}})),
              StartsWith("response_format.json_schema.strict: "));
  EXPECT_THAT(refusal_of(schema_format({{"schema", kSchema}, {"name", 1}})),
              StartsWith("response_format.json_schema.name: "));
  EXPECT_THAT(refusal_of_structured("x"), StartsWith("structured_outputs: expected an object"));
  EXPECT_THAT(refusal_of_structured({{"regex", 7}}), StartsWith("structured_outputs.regex: "));
  EXPECT_THAT(refusal_of_structured({{"choice", {"a", 1}}}), StartsWith("structured_outputs.choice[1]: "));
  EXPECT_THAT(refusal_of_structured({{"grammar", Json::array()}}),
              StartsWith("structured_outputs.grammar: "));
  EXPECT_THAT(refusal_of_structured({{"json", true}}), StartsWith("structured_outputs.json: "));
  EXPECT_THAT(refusal_of_structured({{"json_object", 1}}), StartsWith("structured_outputs.json_object: "));
}

TEST(OutputFormat, ThereIsOneConstraintAtMost) {
  EXPECT_THAT(refusal_of_structured(Json::object()), StartsWith("structured_outputs: expected one of"));
  EXPECT_THAT(refusal_of_structured({{"json_object", false}}),
              StartsWith("structured_outputs: expected one of"));
  EXPECT_THAT(refusal_of_structured({{"regex", "a"}, {"choice", {"a"}}}),
              AllOf(StartsWith("structured_outputs.choice: "), HasSubstr("structured_outputs.regex")));
  Json both = schema_format({{"schema", kSchema}});
  both["structured_outputs"] = {{"regex", "a"}};
  EXPECT_THAT(refusal_of(both), AllOf(StartsWith("structured_outputs.regex: "),
                                      HasSubstr("response_format.json_schema.schema")));
  both["response_format"] = {{"type", "text"}};
  EXPECT_EQ(refusal_of(both), "");
}

TEST(OutputFormat, SaysWhatToUseInstead) {
  const auto refused = ErrorCode::kUnsupported;
  EXPECT_THAT(refusal_of({{"guided_json", kSchema}}, refused),
              AllOf(StartsWith("guided_json: "), HasSubstr("structured_outputs.json")));
  for (const char* name : {"guided_regex", "guided_choice", "guided_grammar", "grammar", "json_schema"}) {
    EXPECT_THAT(refusal_of({{name, "x"}}, refused), StartsWith(std::string(name) + ": superseded by"));
  }
  EXPECT_THAT(refusal_of({{"response_format", {{"type", "json_object"}, {"schema", kSchema}}}}, refused),
              AllOf(StartsWith("response_format.schema: "), HasSubstr("json_schema")));
  for (const char* name : {"structural_tag", "whitespace_pattern"}) {
    EXPECT_THAT(refusal_of_structured({{"json", kSchema}, {name, "x"}}, refused),
                StartsWith(std::string("structured_outputs.") + name));
  }
  EXPECT_THAT(refusal_of_structured({{"json", kSchema}, {"disable_any_whitespace", true}}, refused),
              StartsWith("structured_outputs.disable_any_whitespace"));
  EXPECT_EQ(refusal_of_structured({{"json", kSchema}, {"disable_any_whitespace", false}}), "");
}

}  // namespace
}  // namespace beryl::server
