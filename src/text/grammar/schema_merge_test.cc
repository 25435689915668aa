#include "text/grammar/schema_merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace beryl::text::grammar {
namespace {

Schema json(const char* text) {
  return Schema::parse(text);
}

class SchemaMerge : public testing::Test {
 protected:
  Schema flat(const char* text) { return flatten(json(text), "", context_); }
  bool disjoint(const char* a, const char* b) { return are_disjoint(json(a), json(b), "", context_); }

  std::string error_of(const char* text) {
    try {
      flat(text);
    } catch (const Error& error) {
      return error.message();
    }
    return "no error";
  }

  Budget budget_{GrammarLimits{}};
  Schema referred_ = json(R"({"type":"integer","minimum":2})");
  MergeContext context_{[this](std::string_view, std::string_view) -> const Schema& { return referred_; },
                        budget_};
};

TEST_F(SchemaMerge, NarrowsBounds) {
  EXPECT_EQ(flat(R"({"allOf":[{"minimum":1,"maxLength":5},{"minimum":3,"maxLength":4}],"minimum":2})"),
            json(R"({"minimum":3,"maxLength":4})"));
  EXPECT_EQ(flat(R"({"type":"number","$ref":"#/x","minimum":1.5})"),
            json(R"({"type":["integer"],"minimum":2})"));
  EXPECT_EQ(flat(R"({"allOf":[{"enum":[1,2,3]},{"enum":[3,1]}]})"), json(R"({"enum":[1,3]})"));
  EXPECT_EQ(flat(R"({"allOf":[{"title":"a"},true]})"), Schema::object());
}

TEST_F(SchemaMerge, UnitesProperties) {
  EXPECT_EQ(
      flat(R"({"allOf":[{"properties":{"a":{},"b":{"type":"null"}},"required":["a"]}],
                     "properties":{"b":{"const":null},"c":{}},"required":["c","a"]})"),
      json(
          R"({"properties":{"a":{},"b":{"allOf":[{"type":"null"},{"const":null}]},"c":{}},"required":["a","c"]})"));
}

TEST_F(SchemaMerge, FindsThatNothingSatisfiesBoth) {
  EXPECT_EQ(flat(R"({"allOf":[{"type":"string"},{"type":"null"}]})"), Schema(false));
  EXPECT_EQ(flat(R"({"allOf":[{"const":1},{"const":2}]})"), Schema(false));
  EXPECT_EQ(flat(R"({"allOf":[{},false]})"), Schema(false));
}

TEST_F(SchemaMerge, RefusesWhatCannotBeOne) {
  EXPECT_THAT(error_of(R"({"allOf":[{"pattern":"a"},{"pattern":"b"}]})"),
              testing::HasSubstr("two values of 'pattern'"));
  EXPECT_THAT(error_of(R"({"allOf":[{"anyOf":[{}]},{"anyOf":[true]}]})"),
              testing::HasSubstr("two values of 'anyOf'"));
  EXPECT_THAT(error_of(R"({"allOf":[{"additionalProperties":false},{"properties":{"a":{}}}]})"),
              testing::HasSubstr("has 'additionalProperties' and lacks 'a'"));
  EXPECT_THAT(error_of(R"({"allOf":[{"unknown":1}]})"), testing::HasSubstr("'unknown' is not supported"));
  EXPECT_THAT(error_of(R"({"allOf":[3]})"), testing::HasSubstr("an object or a boolean"));
}

TEST_F(SchemaMerge, TellsWhatExcludesEachOther) {
  EXPECT_TRUE(disjoint(R"({"type":"string"})", R"({"type":["null","object"]})"));
  EXPECT_FALSE(disjoint(R"({"type":"number"})", R"({"$ref":"#/an-integer"})"));
  EXPECT_FALSE(disjoint(R"({"type":"string"})", R"({"pattern":"a"})"));
  EXPECT_FALSE(disjoint(R"({"minLength":1})", R"({"minimum":1})"));
  EXPECT_TRUE(disjoint(R"({"enum":[1,"a"]})", R"({"const":"b"})"));
  EXPECT_TRUE(disjoint(R"({"enum":[1,2]})", R"({"type":"string"})"));
  EXPECT_FALSE(disjoint(R"({"enum":[1,2]})", R"({"type":"integer"})"));
  const char* const circle =
      R"({"type":"object","properties":{"kind":{"const":"circle"}},"required":["kind"]})";
  EXPECT_TRUE(
      disjoint(circle, R"({"type":"object","properties":{"kind":{"const":"line"}},"required":["kind"]})"));
  EXPECT_FALSE(disjoint(circle, R"({"type":"object","properties":{"kind":{"const":"line"}}})"));
  EXPECT_TRUE(disjoint(circle, R"({"type":"object","properties":{},"additionalProperties":false})"));
  EXPECT_FALSE(disjoint(circle, R"({"type":"object","properties":{"a":{}},"required":["a"]})"));
}

TEST_F(SchemaMerge, BoundsWhatItCompares) {
  Schema large = {{"properties", Schema::object()}};
  for (int i = 0; i < 2001; ++i) large["properties"]["p" + std::to_string(i)] = true;
  const Schema both = {{"allOf", Schema::array({large, Schema{{"type", "object"}}})}};
  EXPECT_THROW(flatten(both, "", context_), Error);
}

}  // namespace
}  // namespace beryl::text::grammar
