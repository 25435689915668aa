#include "server/access_log.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

namespace beryl::server {
namespace {

HttpRecord sample() {
  return {.start = std::chrono::system_clock::time_point(std::chrono::milliseconds(1764112808123)),
          .id = "req-1",
          .client = "127.0.0.1",
          .method = "POST",
          .path = "/v1/chat/completions",
          .status = 200,
          .bytes = 1234,
          .seconds = 1.5,
          .first_byte_seconds = 0.25,
          .notes = {{"prompt_tokens", "12"}, {"finish_reason", "stop"}}};
}

TEST(AccessLog, WritesTextForPeople) {
  EXPECT_EQ(access_log_line(sample(), AccessLogFormat::kText),
            "2025-11-25T23:20:08.123Z req-1 127.0.0.1 POST /v1/chat/completions 200 1234 B 1.500 s "
            "prompt_tokens=12 "
            "finish_reason=stop");
}

TEST(AccessLog, WritesJsonForPrograms) {
  const auto line = nlohmann::json::parse(access_log_line(sample(), AccessLogFormat::kJson));
  EXPECT_EQ(line.at("time"), "2025-11-25T23:20:08.123Z");
  EXPECT_EQ(line.at("id"), "req-1");
  EXPECT_EQ(line.at("status"), 200);
  EXPECT_EQ(line.at("whole"), true);
  EXPECT_EQ(line.at("first_byte_seconds"), 0.25);
  EXPECT_EQ(line.at("prompt_tokens"), "12");
}

TEST(AccessLog, SaysThatTheClientWentAway) {
  HttpRecord record = sample();
  record.is_whole = false;
  EXPECT_NE(access_log_line(record, AccessLogFormat::kText).find(" s gone "), std::string::npos);
}

// Neither a path nor anything else that a client chose can make a line of its own, or one without end.
TEST(AccessLog, CannotBeForged) {
  HttpRecord record = sample();
  record.path = "/x\r\n2025 fake\x1b[31m" + std::string(10'000, 'a');
  record.notes = {{"model", "a\nb"}};
  for (const auto format : {AccessLogFormat::kText, AccessLogFormat::kJson}) {
    const std::string line = access_log_line(record, format);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    EXPECT_LT(line.size(), 2000U);
  }
}

TEST(AccessLog, DescribesWhatCouldNotBeRead) {
  HttpRecord record = {.client = "::1", .status = 400};
  EXPECT_NE(access_log_line(record, AccessLogFormat::kText).find(" - ::1 - - 400 0 B"), std::string::npos);
}

}  // namespace
}  // namespace beryl::server
