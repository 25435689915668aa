// Hostile templates and hostile variables end in a clear error, soon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "base/error.h"
#include "text/template/reference_data.h"

namespace beryl::text {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

std::string repeated(const std::string& text, size_t count) {
  std::string result;
  for (size_t i = 0; i < count; ++i) result += text;
  return result;
}

// Small enough for a build with sanitizers to reach them soon.
constexpr RenderLimits kShort = {.steps_max = 4'000'000,
                                 .output_bytes_max = RenderLimits().output_bytes_max,
                                 .memory_bytes_max = uint64_t{96} << 20};

// The error's message, or "text: ..." when there is none.
std::string outcome(const std::string& source, const Json& context = Json::object(),
                    RenderLimits limits = kShort) {
  const auto begin = std::chrono::steady_clock::now();
  std::string message;
  try {
    message = "text: " + render_json(Template(source, "t"), context, {limits, {}}).text;
  } catch (const Error& error) {
    message = error.message();
    EXPECT_LT(message.size(), 4000U);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  return message;
}

TEST(TemplateLimits, SourceNesting) {
  const auto blocks = [](size_t depth) {
    return repeated("{% if true %}", depth) + "x" + repeated("{% endif %}", depth);
  };
  // The template itself is one block.
  EXPECT_EQ(outcome(blocks(kBlockDepthMax - 1)), "text: x");
  EXPECT_THAT(outcome(blocks(kBlockDepthMax)), HasSubstr("blocks nested deeper than 64"));
  EXPECT_THAT(outcome(blocks(30'000)), HasSubstr("t:1:823: blocks nested deeper than 64"));
  const std::pair<const char*, const char*> brackets[] = {
      {"(", ")"},  {"[", "]"},     {"{1:", "}"},  {"-(", ")"},         {"f(", ")"},
      {"a[", "]"}, {"not (", ")"}, {"x|f(", ")"}, {"1 if 1 else ", ""}};
  for (const auto& [open, close] : brackets) {
    EXPECT_THAT(outcome("{{ " + repeated(open, 50'000) + "1" + repeated(close, 50'000) + " }}"),
                HasSubstr("nested deeper than 100"))
        << open;
  }
  for (const char* link : {"-", "not "}) {
    EXPECT_THAT(outcome("{{ " + repeated(link, 50'000) + "1 }}"), HasSubstr("nested deeper than 100"))
        << link;
  }
}

TEST(TemplateLimits, Chains) {
  const auto sum = [](int terms) {
    return "{{ 1" + repeated(" + 1", static_cast<size_t>(terms) - 1) + " }}";
  };
  EXPECT_EQ(outcome(sum(kExpressionDepthMax)), "text: 100");
  EXPECT_THAT(outcome(sum(kExpressionDepthMax + 1)), HasSubstr("nested deeper than 100"));
  for (const char* link : {"|upper", ".a", "[0]", "()", " and 1", " or 1", " * 2", " ** 1", " if 1"}) {
    EXPECT_THAT(outcome("{{ x" + repeated(link, 20'000) + " }}"), HasSubstr("nested deeper than 100"))
        << link;
  }
  // These are one level, however long.
  EXPECT_EQ(outcome("{{ ''" + repeated(" ~ ''", 20'000) + " }}"), "text: ");
  EXPECT_EQ(outcome("{{ 1" + repeated(" < 2 > 1", 10'000) + " }}"), "text: True");
  EXPECT_EQ(outcome("{% if 0 %}" + repeated("{% elif 0 %}", 20'000) + "{% else %}e{% endif %}"), "text: e");
  EXPECT_EQ(outcome("{{ ''" + repeated(" 'a'", 3) + " }}"), "text: aaa");
}

TEST(TemplateLimits, SourceSize) {
  EXPECT_EQ(outcome(std::string(kTemplateBytesMax, 'x')).size(), kTemplateBytesMax + 6);
  EXPECT_THAT(outcome(std::string(kTemplateBytesMax + 1, 'x')), HasSubstr("at most 1048576"));
}

TEST(TemplateLimits, MacroCalls) {
  EXPECT_THAT(outcome("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
              HasSubstr("t:1:20: macros call each other"));
  EXPECT_THAT(
      outcome("{% macro f(x) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}{{ f([x]) }}{% endmacro %}{{ f(1) }}"),
      HasSubstr("deeper than"));
  EXPECT_THAT(outcome("{% macro f(x=f()) %}{% endmacro %}{{ f() }}"), HasSubstr("macros call each other"));
  EXPECT_THAT(outcome("{% macro f() %}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}"),
              HasSubstr("deeper than"));
  EXPECT_THAT(outcome("{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}{% call f() %}a{% endcall "
                      "%}{% endcall %}"),
              HasSubstr("text: a"));
  // Deep blocks in deep calls: the sum counts.
  const std::string deep = repeated("{% if true %}", 50) + "{{ f() }}" + repeated("{% endif %}", 50);
  EXPECT_THAT(outcome("{% macro f() %}" + deep + "{% endmacro %}{{ f() }}"),
              HasSubstr("nested deeper than 1500"));
  const std::string brackets = repeated("[", 90) + "f()" + repeated("]", 90);
  EXPECT_THAT(outcome("{% macro f() %}{{ " + brackets + " }}{% endmacro %}{{ f() }}"),
              HasSubstr("deeper than"));
  // Many calls, one after the other, branching each time.
  EXPECT_THAT(
      outcome("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"),
      HasSubstr("too many steps"));
}

TEST(TemplateLimits, Loops) {
  EXPECT_EQ(outcome("{{ range(100000) | length }}"), "text: 100000");
  EXPECT_THAT(outcome("{{ range(100001) }}"), HasSubstr("range() of more than 100000 items"));
  EXPECT_THAT(outcome("{{ range(-9223372036854775807, 9223372036854775807) }}"),
              HasSubstr("range() of more"));
  EXPECT_EQ(outcome("{{ range(9223372036854775807, 0, -9223372036854775807) | list }}"),
            "text: [9223372036854775807]");
  const std::string nested =
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
  EXPECT_THAT(outcome(nested), HasSubstr("too many steps"));
  EXPECT_THAT(outcome("{% for a in range(100000) %}{{ range(100000) | list | length }}{% endfor %}"),
              HasSubstr("t:1:"));
  EXPECT_THAT(
      outcome("{% for a in range(100000) %}{{ 5 in range(100000) }}{{ a in range(100000) }}{% endfor %}"),
      HasSubstr("t:1:"));
}

TEST(TemplateLimits, StringGrowth) {
  EXPECT_THAT(
      outcome(
          "{% set ns = namespace(s='x') %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"),
      HasSubstr("too much memory"));
  EXPECT_THAT(outcome("{{ 'x' * 9223372036854775807 }}"), HasSubstr("too"));
  EXPECT_THAT(outcome("{{ [1] * 9223372036854775807 }}"), HasSubstr("too"));
  EXPECT_THAT(outcome("{{ ('x' * 1000000) | replace('x', 'y' * 1000000) }}"), HasSubstr("too much memory"));
  EXPECT_THAT(outcome("{{ ('x' * 1000000) | replace('', 'y' * 100000) }}"), HasSubstr("too much memory"));
  EXPECT_THAT(outcome("{{ (['y' * 100000] * 10000) | join }}"), HasSubstr("too much memory"));
  EXPECT_THAT(outcome("{{ 'a' * 200000000 }}"), HasSubstr("too many steps"));
  EXPECT_THAT(outcome("{% set x = 'a' * 1000000 %}{% for i in range(100) %}{{ x }}{% endfor %}"),
              HasSubstr("output exceeds 33554432 bytes"));
  EXPECT_THAT(outcome("{{ '%99999s' % 1 }}"), HasSubstr("width"));
  EXPECT_THAT(outcome("{{ '{:99999}'.format(1) }}"), HasSubstr("width"));
  EXPECT_THAT(outcome("{{ 'a' | center(99999999) }}"), HasSubstr("too large"));
  EXPECT_THAT(outcome("{{ 'a' | indent(99999999) }}"), HasSubstr("too large"));
  EXPECT_THAT(outcome("{{ [[1]] | tojson(indent=99999999) }}"), HasSubstr("too large"));
  EXPECT_THAT(outcome("{{ [1] | batch(9999999999, 0) }}"), HasSubstr("out of range"));
}

TEST(TemplateLimits, SlowSearches) {
  // Each alone would take the product of two lengths.
  const std::string text = "{% set a = ('a' * 100000) * 20 %}{% set b = a[:1000000] ~ 'b' %}";
  for (const char* search : {"b in a", "a.find(b)", "a.split(b)", "a.rsplit(b)", "a.replace(b, 'c')",
                             "a.count(b)", "a.rfind(b)", "a.strip(b)", "a | trim(b)"}) {
    EXPECT_THAT(outcome(text + "{{ " + search + " }}"), HasSubstr("too many steps")) << search;
  }
}

TEST(TemplateLimits, ValuesWithinValues) {
  EXPECT_THAT(
      outcome("{% set ns = namespace(x=1) %}{% for i in range(100) %}{% set ns.x = [ns.x] %}{% endfor %}"),
      HasSubstr("values nested deeper than 72"));
  EXPECT_THAT(
      outcome(
          "{% set ns = namespace(x=1) %}{% for i in range(100) %}{% set ns.x = {'a': ns.x} %}{% endfor %}"),
      HasSubstr("values nested deeper than 72"));
  // Few values that stand for many: comparing or printing them would never end.
  const std::string doubled =
      "{% set ns = namespace(x=1, y=1) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
      "{% set ns.y = [ns.y, ns.y] %}{% endfor %}";
  EXPECT_THAT(outcome(doubled + "{{ ns.x == ns.y }}"), HasSubstr("too many steps"));
  EXPECT_THAT(outcome(doubled + "{{ ns.x }}"), HasSubstr("t:1:"));
  EXPECT_THAT(outcome(doubled + "{{ ns.x | tojson }}"), HasSubstr("t:1:"));
  EXPECT_THAT(outcome(doubled + "{{ [ns.x] | sort | length }}"), HasSubstr("text: 1"));
  EXPECT_THAT(outcome(doubled + "{{ [ns.x, ns.y] | sort }}"), HasSubstr("too many steps"));
  EXPECT_THAT(outcome("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}"),
              HasSubstr("cannot be printed"));
  EXPECT_THAT(outcome("{% set ns = namespace() %}{% set ns.me = [ns] %}{{ ns.me == ns.me }}"),
              HasSubstr("text: True"));
}

TEST(TemplateLimits, VariablesWithinVariables) {
  Json nested = 1;
  for (int i = 0; i < kValueDepthMax; ++i) nested = Json::array({nested});
  EXPECT_EQ(outcome("{{ x | length }}", {{"x", nested}}), "text: 1");
  nested = Json::array({nested});
  EXPECT_THAT(outcome("{{ x | length }}", {{"x", nested}}), HasSubstr("nested deeper than 72"));
  Json big = Json::object();
  big["a"] = uint64_t{1} << 63;
  EXPECT_THAT(outcome("{{ x }}", {{"x", big}}), HasSubstr("does not fit in 64 bits"));
}

TEST(TemplateLimits, AreCountedExactly) {
  const auto steps_of = [](uint64_t steps) {
    RenderLimits limits;
    limits.steps_max = steps;
    return outcome("{% for i in [1, 2, 3] %}{{ i }}{% endfor %}", Json::object(), limits);
  };
  uint64_t enough = 1;
  while (steps_of(enough) != "text: 123" && enough < 1000) ++enough;
  EXPECT_LT(enough, 30U);
  EXPECT_THAT(steps_of(enough - 1), HasSubstr("too many steps"));
  const auto output_of = [](uint64_t bytes) {
    RenderLimits limits;
    limits.output_bytes_max = bytes;
    return outcome("abc{{ 'de' }}", Json::object(), limits);
  };
  EXPECT_EQ(output_of(5), "text: abcde");
  EXPECT_THAT(output_of(4), HasSubstr("output exceeds 4 bytes"));
}

TEST(TemplateLimits, NothingOfTheHostCanBeReached) {
  for (const char* expression : {"''.__class__",
                                 "[].__class__",
                                 "{}.__class__",
                                 "ns.__class__",
                                 "ns.__init__",
                                 "f.__globals__",
                                 "f.name",
                                 "range.__call__",
                                 "loop",
                                 "self",
                                 "joiner",
                                 "cycler",
                                 "lipsum",
                                 "environment",
                                 "''['__class__']",
                                 "(''|attr('__class__'))",
                                 "([]|attr('append'))",
                                 "raise_exception.__globals__",
                                 "namespace.__init__",
                                 "dict.__subclasses__",
                                 "''.format.__globals__",
                                 "x.get.__self__",
                                 "('' | map('upper')).gi_frame"}) {
    EXPECT_EQ(
        outcome(std::string("{% macro f() %}{% endmacro %}{% set ns = namespace() %}{% set x = {} %}{{ (") +
                expression + ") is defined }}|{{ " + expression + " }}"),
        "text: False|")
        << expression;
  }
  EXPECT_THAT(outcome("{{ ''.__class__.__mro__ }}"), HasSubstr("'str object' has no attribute '__class__'"));
  EXPECT_THAT(outcome("{{ '{0.__class__}'.format(1) }}"), HasSubstr("format: no argument"));
  EXPECT_THAT(outcome("{{ '%(__class__)s' % {} }}"), HasSubstr("format: no key"));
  EXPECT_THAT(outcome("{% include '/etc/passwd' %}"), HasSubstr("not supported"));
}

TEST(TemplateLimits, ArithmeticStaysInItsTypes) {
  for (const char* expression :
       {"9223372036854775807 + 1", "-9223372036854775807 - 2", "9223372036854775807 * 2", "2 ** 63",
        "10 ** 10 ** 10", "-(-9223372036854775807 - 1)", "(-9223372036854775807 - 1) // -1",
        "(-9223372036854775807 - 1) | abs", "9223372036854775808", "1e308 ** 2",
        "99999999999999999999 | int"}) {
    EXPECT_THAT(outcome(std::string("{{ ") + expression + " }}"), HasSubstr("t:1:")) << expression;
  }
  EXPECT_EQ(outcome("{{ (-9223372036854775807 - 1) % -1 }} {{ 1 ** 9223372036854775807 }} {{ 1e300 | int }} "
                    "{{ '1e999' | float }} {{ 'nan' | float | int }}"),
            "text: 0 1 0 inf 0");
}

TEST(TemplateLimits, OrderOfWhatHasNone) {
  EXPECT_EQ(outcome("{% set n = 'nan' | float %}{{ [3, n, 1, n, 2] | sort | length }}{{ [n, 1] | max }}"),
            "text: 5nan");
}

}  // namespace
}  // namespace beryl::text
