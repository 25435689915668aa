#include "text/template/parser.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace beryl::text {
namespace {

std::string refusal(const std::string& source) {
  try {
    parse_template(source, "t");
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

TEST(Parser, SaysWhereAndWhatWasExpected) {
  const std::pair<const char*, const char*> cases[] = {
      {"{{ }}", "t:1:4: unexpected '}}', expected an expression"},
      {"{{ 1 2 }}", "t:1:6: unexpected '2', expected '}}'"},
      {"{{ a. }}", "t:1:7: unexpected '}}', expected an attribute's name"},
      {"{{ f(a=1, 2) }}", "t:1:11: an argument without a name follows one with a name"},
      {"{{ f(*a) }}", "t:1:6: unpacking of arguments is not supported"},
      {"{{ x | }}", "t:1:8: unexpected '}}', expected a filter's name"},
      {"{{ 1 is odd is even }}", "t:1:13: tests cannot be chained with 'is'"},
      {"{{ 99999999999999999999 }}", "t:1:4: this integer does not fit in 64 bits"},
      {"{{ '\\x1' }}", "t:1:4: this string has an escape that is incomplete or not supported"},
      {"a\n{% nope %}", "t:2:4: unknown statement 'nope'"},
      {"{% endif %}", "t:1:4: unknown statement 'endif'"},
      {"{% if x %}\na", "t:1:4: 'if' is not closed: expected {% endif %} before the end of the template"},
      {"{% if x %}\n{% else %}b",
       "t:2:4: 'else' is not closed: expected {% endif %} before the end of the template"},
      {"{% macro f() %}",
       "t:1:4: 'macro' is not closed: expected {% endmacro %} before the end of the template"},
      {"{% for x in y recursive %}{% endfor %}", "t:1:15: recursive loops are not supported"},
      {"{% for x y %}{% endfor %}", "t:1:10: unexpected 'y', expected 'in'"},
      {"{% break %}", "t:1:4: 'break' outside of a loop"},
      {"{% for x in y %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}",
       "t:1:35: 'break' outside of a loop"},
      {"{% macro f(a=1, b) %}{% endmacro %}",
       "t:1:17: a parameter without a default follows one with a default"},
      {"{% set true = 1 %}", "t:1:8: cannot assign to 'true'"},
      {"{% include 'x' %}", "t:1:4: 'include' is not supported: a chat template stands alone"},
      {"{% call x %}{% endcall %}", "t:1:9: expected a call"},
      {"{% \x1b[31m %}", "t:1:4: unexpected character '\\x1b'"},
  };
  for (const auto& [source, expected] : cases) EXPECT_EQ(refusal(source), expected) << source;
}

TEST(Parser, KeepsOneEntryPerName) {
  const auto parsed = parse_template("{{ a }}{{ b }}{{ a }}{% set a = b %}", "t");
  EXPECT_EQ(parsed->symbol_names, (std::vector<std::string_view>{"a", "b"}));
  EXPECT_EQ(parsed->body.size(), 4U);
}

}  // namespace
}  // namespace beryl::text
