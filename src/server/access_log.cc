#include "server/access_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/quote.h"

namespace beryl::server {
namespace {

constexpr size_t kPathBytesMax = 256;
constexpr size_t kNoteBytesMax = 64;

// "2026-11-25T23:20:08.123Z"
std::string timestamp(std::chrono::system_clock::time_point time) {
  const auto since_epoch =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(since_epoch / 1000)),
                     since_epoch % 1000);
}

std::string text_line(const HttpRecord& record) {
  std::string line = fmt::format("{} {} {} {} {} {} {} B {:.3f} s", timestamp(record.start),
                                 record.id.empty() ? "-" : record.id, printable(record.client),
                                 record.method.empty() ? "-" : printable(record.method, kNoteBytesMax),
                                 record.path.empty() ? "-" : printable(record.path, kPathBytesMax),
                                 record.status, record.bytes, record.seconds);
  if (!record.is_whole) line += " gone";
  for (const auto& [name, value] : record.notes)
    line += fmt::format(" {}={}", name, printable(value, kNoteBytesMax));
  return line;
}

std::string json_line(const HttpRecord& record) {
  nlohmann::ordered_json line = {{"time", timestamp(record.start)},
                                 {"id", record.id},
                                 {"client", printable(record.client)},
                                 {"method", printable(record.method, kNoteBytesMax)},
                                 {"path", printable(record.path, kPathBytesMax)},
                                 {"status", record.status},
                                 {"whole", record.is_whole},
                                 {"bytes", record.bytes},
                                 {"first_byte_seconds", record.first_byte_seconds},
                                 {"seconds", record.seconds}};
  for (const auto& [name, value] : record.notes) line[name] = printable(value, kNoteBytesMax);
  return line.dump();
}

}  // namespace

std::string access_log_line(const HttpRecord& record, AccessLogFormat format) {
  return format == AccessLogFormat::kJson ? json_line(record) : text_line(record);
}

void AccessLog::write(const HttpRecord& record) {
  if (format_ == AccessLogFormat::kOff) return;
  const std::string line = access_log_line(record, format_) + "\n";
  const std::lock_guard lock(mutex_);
  std::fwrite(line.data(), 1, line.size(), out_);
  std::fflush(out_);
}

}  // namespace beryl::server
