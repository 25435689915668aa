#include "text/template/template.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "base/error.h"
#include "text/template/reference_data.h"

namespace beryl::text {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kLarge = "google-gemma-4-12B-26B-A4B-31B-it.chat_template.2026-07-09.jinja";
constexpr const char* kSmall = "google-gemma-4-E2B-E4B-it.chat_template.2026-07-09.jinja";

// Renders made by Python's jinja2.
void compare_with_golden(const char* file, const std::string& key) {
  const Template parsed(chat_template_file(file), file);
  const auto reference = reference_json("golden_renders.json");
  for (const auto& golden : reference["cases"]) {
    SCOPED_TRACE(golden["name"].get<std::string>());
    if (golden.contains(key + "_error")) {
      try {
        render_json(parsed, golden["context"]);
        ADD_FAILURE() << "expected an error";
      } catch (const Error& error) {
        EXPECT_NE(error.message().find(golden[key + "_error"].get<std::string>()), std::string::npos)
            << error.message();
      }
      continue;
    }
    EXPECT_EQ(render_json(parsed, golden["context"]).text, golden[key].get<std::string>());
  }
}

TEST(Template, MatchesGoldenRendersOfTheLargeTemplate) {
  compare_with_golden(kLarge, "large");
}

TEST(Template, MatchesGoldenRendersOfTheSmallTemplate) {
  compare_with_golden(kSmall, "small");
}

// The text, or "error: MESSAGE".
std::string outcome(const std::string& source, const nlohmann::ordered_json& context) {
  try {
    return render_json(Template(source, "t"), context).text;
  } catch (const Error& error) {
    return "error: " + error.message();
  }
}

// Texts must be equal. What jinja2 refuses must be refused; where its message is about undefined values, or
// is the template's own, ours holds the same words.
void compare_with_reference(const nlohmann::ordered_json& reference, const std::string& found) {
  if (!reference.contains("error")) {
    EXPECT_EQ(found, reference["text"].get<std::string>());
    return;
  }
  const auto expected = reference["error"].get<std::string>();
  EXPECT_TRUE(found.starts_with("error: ")) << "expected " << expected << "\nfound    " << found;
  const bool has_own_words =
      expected.starts_with("UndefinedError: '") || expected.starts_with("TemplateError: ");
  if (has_own_words) {
    EXPECT_NE(found.find(expected.substr(expected.find(": ") + 2)), std::string::npos)
        << "expected " << expected << "\nfound    " << found;
  }
}

TEST(Template, RendersOlderTemplatesAsJinja2) {
  const auto golden = reference_json("golden_renders.json");
  const auto older = reference_json("older_renders.json");
  for (const auto& reference : older["cases"]) {
    const auto& conversations = golden["cases"];
    const auto conversation =
        std::find_if(conversations.begin(), conversations.end(),
                     [&](const auto& candidate) { return candidate["name"] == reference["conversation"]; });
    ASSERT_NE(conversation, conversations.end());
    SCOPED_TRACE(reference["template"].get<std::string>() + ", " +
                 reference["conversation"].get<std::string>());
    compare_with_reference(reference, outcome(chat_template_file(reference["template"].get<std::string>()),
                                              (*conversation)["context"]));
  }
}

TEST(Template, RendersSnippetsAsJinja2) {
  const auto snippets = reference_json("snippets.json");
  for (const auto& reference : snippets["cases"]) {
    const auto source = reference["template"].get<std::string>();
    SCOPED_TRACE(source);
    compare_with_reference(reference, outcome(source, snippets["context"]));
  }
}

TEST(Template, ErrorsNameThePlace) {
  EXPECT_EQ(outcome("a\n  {{ x.y.z }}", {{"x", Json::object()}}),
            "error: t:2:10: 'dict object' has no attribute 'y'");
  EXPECT_EQ(outcome("{% for i in [1, 2] %}\n{{ 1 // (i - 2) }}\n{% endfor %}", Json::object()),
            "error: t:2:6: integer division or modulo by zero");
  EXPECT_EQ(outcome("{% macro f(a) %}\n{{ a | nope }}{% endmacro %}\n{{ f(1) }}", Json::object()),
            "error: t:2:8: no filter named 'nope'");
  EXPECT_EQ(outcome("{{ [1, 2] | join('a', 'b', 'c') }}", Json::object()),
            "error: t:1:13: join() takes at most 2 arguments, got 3");
  EXPECT_EQ(outcome("{% for a, b in [1] %}{% endfor %}", Json::object()),
            "error: t:1:4: 'int' object is not iterable");
}

TEST(Template, RaiseExceptionSpeaksForItself) {
  EXPECT_EQ(outcome("{{ raise_exception('Only ' ~ x ~ ' is allowed.') }}", {{"x", "user\x1b[31m"}}),
            "error: Only user?[31m is allowed.");
  const std::string long_text(100'000, 'x');
  EXPECT_EQ(outcome("{{ raise_exception(x) }}", {{"x", long_text}}), "error: " + long_text.substr(0, 2000));
}

TEST(Template, TellsTheTimeItIsGiven) {
  RenderOptions options;
  options.now = {};
  options.now.tm_year = 126;
  options.now.tm_mon = 6;
  options.now.tm_mday = 9;
  const Template parsed("{{ strftime_now('%d %b %Y, %Y-%m-%d') }}", "t");
  EXPECT_EQ(parsed.render({}, options).text, "09 Jul 2026, 2026-07-09");
  EXPECT_THROW(Template("{{ strftime_now('%n') }}", "t").render({}, options), Error);
  EXPECT_THROW(Template("{{ strftime_now('%') }}", "t").render({}, options), Error);
}

TEST(Template, ServesSeveralThreads) {
  const Template parsed(chat_template_file(kLarge), kLarge);
  const Json reference = reference_json("golden_renders.json");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (const Json& golden : reference["cases"]) {
        if (!golden.contains("large")) continue;
        EXPECT_EQ(render_json(parsed, golden["context"]).text, golden["large"].get<std::string>());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace beryl::text
