#include "text/template/template.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/template/reference_data.h"

namespace beryl::text {
namespace {

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

}  // namespace
}  // namespace beryl::text
