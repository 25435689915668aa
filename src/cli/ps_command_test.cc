#include "cli/ps_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "cli/server_client.h"

namespace beryl::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ServerLook sample_look() {
  return {.status = nlohmann::ordered_json::parse(R"({
            "model": "gemma", "context": 8192, "running": 2, "waiting": 1, "waiting_tokens": 300,
            "pages": {"sliding": {"total": 100, "used": 25}, "full": {"total": 50, "used": 40}},
            "prompt_tokens_computed": 600, "prompt_tokens_cached": 200, "new_tokens": 90,
            "last_step": {"seconds": 0.5, "prompt_tokens": 100, "new_tokens": 4},
            "requests": [{"id": 7, "sample": 0, "state": "running", "prompt_tokens": 11, "computed_tokens": 22,
                          "new_tokens": 33},
                         {"id": 7, "sample": 1, "state": "waiting", "prompt_tokens": 11, "computed_tokens": 0,
                          "new_tokens": 0}]})"),
          .metrics =
              "# HELP x\nberyl_time_to_first_token_seconds_sum{model_name=\"a b\"} 3\n"
              "beryl_time_to_first_token_seconds_count{model_name=\"a b\"} 4\n"
              "beryl_http_connections 5\nberyl_http_connections_idle 2\n"};
}

TEST(PsCommand, DescribesALook) {
  const std::string text = describe(sample_look(), nullptr, 0);
  EXPECT_THAT(text, HasSubstr("gemma, texts of up to 8192 tokens\n"));
  EXPECT_THAT(text, HasSubstr("2 in progress, 1 waiting (300 tokens)\n"));
  EXPECT_THAT(text, HasSubstr("8.0 tokens/s of answers, 200.0 tokens/s of prompts\n"));  // of the last step
  EXPECT_THAT(text, HasSubstr("first token after 0.750 s, then 0.000 s each"));
  EXPECT_THAT(text, HasSubstr("80 % of full pages, 25 % of sliding pages"));
  EXPECT_THAT(text, HasSubstr("25 % of 800 prompt tokens were there already\n"));
  EXPECT_THAT(text, HasSubstr("5 connections\n"));
  EXPECT_THAT(text, HasSubstr("       7  running         11        22        33\n"));
  EXPECT_THAT(text, HasSubstr("     7.1  waiting         11         0         0\n"));
}

TEST(PsCommand, MeasuresBetweenTwoLooks) {
  const ServerLook before = sample_look();
  ServerLook now = sample_look();
  now.status["new_tokens"] = 100;
  now.status["prompt_tokens_computed"] = 1600;
  EXPECT_THAT(describe(now, &before, 2), HasSubstr("5.0 tokens/s of answers, 500.0 tokens/s of prompts\n"));
}

// A server of another version, or something else entirely.
TEST(PsCommand, BearsWithWhatIsMissing) {
  for (const std::string status :
       {"{}", "[]", "null", R"({"requests": [1, {}], "pages": 3, "model": "a\u001b[31m"})"}) {
    const std::string text =
        describe({.status = nlohmann::ordered_json::parse(status), .metrics = "\n\n{} {}\n"}, nullptr, 0);
    EXPECT_THAT(text, HasSubstr("answers   0 in progress"));
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  }
}

TEST(PsCommand, ReadsMetrics) {
  const std::string text = "# a 1\na{x=\"1\"} 2\na{x=\"2 3\"} 3.5\nab 7\na_sum 9\nb 4";
  EXPECT_EQ(metric_value(text, "a"), 5.5);
  EXPECT_EQ(metric_value(text, "b"), 4);
  EXPECT_EQ(metric_value(text, "c"), 0);
}

TEST(PsCommand, ReadsAddresses) {
  const auto is = [](const std::string& url, const std::string& host, const std::string& port) {
    const ServerAddress address = parse_server_url(url);
    EXPECT_EQ(address.host, host) << url;
    EXPECT_EQ(address.port, port) << url;
  };
  is("http://127.0.0.1:8484", "127.0.0.1", "8484");
  is("http://localhost/", "localhost", "80");
  is("localhost:1", "localhost", "1");
  is("http://[::1]:2", "::1", "2");
  for (const std::string wrong :
       {"", "http://", "https://a", "http://a:b", "http://a:70000", "http://a/b", "http://a:"}) {
    EXPECT_THROW(parse_server_url(wrong), Error) << wrong;
  }
}

TEST(PsCommand, SaysThatNobodyAnswers) {
  try {
    get_from_server({.host = "127.0.0.1", .port = "1"}, "/status", "");
    FAIL() << "somebody answers";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_THAT(error.message(), HasSubstr("no server answers at 127.0.0.1:1"));
  }
}

}  // namespace
}  // namespace beryl::cli
