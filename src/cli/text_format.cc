#include "cli/text_format.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace beryl::cli {

std::string format_bytes(uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string format_error(const Error& error) {
  std::string text = fmt::format("error: {}\n", error.message());
  if (!error.help().empty()) text += fmt::format("help: {}\n", error.help());
  return text;
}

}  // namespace beryl::cli
