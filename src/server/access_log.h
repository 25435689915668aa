// A line for each request: text for people or JSON for programs. No prompt, answer, key or query is in it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>

#include "server/http_shared.h"

namespace beryl::server {

enum class AccessLogFormat : uint8_t { kOff, kText, kJson };

// Without its line end. What clients chose is printable and bounded.
std::string access_log_line(const HttpRecord& record, AccessLogFormat format);

// Any thread.
class AccessLog {
 public:
  // Borrows `out`.
  AccessLog(std::FILE* out, AccessLogFormat format) : out_(out), format_(format) {}

  void write(const HttpRecord& record);

 private:
  std::FILE* const out_;
  const AccessLogFormat format_;
  std::mutex mutex_;
};

}  // namespace beryl::server
