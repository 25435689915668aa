#include "text/grammar/string_formats.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <string>

namespace beryl::text::grammar {
namespace {

// Without the 29th of February, which not every year has.
constexpr std::string_view kDate =
    "[12]\\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|"
    "02-(?:0[1-9]|1\\d|2[0-8]))";
constexpr std::string_view kTime =
    "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
// A duration's parts must not be skipped: years, months, days; hours, minutes, seconds.
constexpr std::string_view kDuration =
    "P(?:N{W}|(?:(?:N{Y}(?:N{M}(?:N{D})?)?|N{M}(?:N{D})?|N{D})(?:T@)?|T@))";
constexpr std::string_view kClock = "(?:N{H}(?:N{M}(?:N{S})?)?|N{M}(?:N{S})?|N{S})";
constexpr std::string_view kLabel = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
constexpr std::string_view kByte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
constexpr std::string_view kHex = "[0-9A-Fa-f]{1,4}";
constexpr std::string_view kUrlCharacter = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

std::string duration() {
  std::string text = replaced(std::string(kDuration), "@", kClock);
  for (const char unit : std::string_view("WYMDHS")) {
    text = replaced(text, fmt::format("N{{{}}}", unit), fmt::format("\\d{{1,6}}{}", unit));
  }
  return text;
}

std::string ipv6() {
  return replaced(
      "(?:H:){7}H|(?:H:){1,7}:|(?:H:){1,6}:H|(?:H:){1,5}(?::H){1,2}|(?:H:){1,4}(?::H){1,3}|"
      "(?:H:){1,3}(?::H){1,4}|(?:H:){1,2}(?::H){1,5}|H:(?::H){1,6}|:(?:(?::H){1,7}|:)",
      "H", kHex);
}

std::map<std::string, std::string, std::less<>> make_patterns() {
  const std::string local = "[A-Za-z0-9_%+-]{1,20}";
  const std::string hostname = fmt::format("{0}(?:\\.{0}){{0,2}}", kLabel);
  const std::string host = fmt::format("{0}(?:\\.{0}){{0,3}}(?::[1-9]\\d{{0,3}})?", kLabel);
  return {
      {"date", std::string(kDate)},
      {"time", std::string(kTime)},
      {"date-time", fmt::format("{}T{}", kDate, kTime)},
      {"duration", duration()},
      {"uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"},
      {"email", fmt::format("{0}(?:\\.{0}){{0,2}}@(?:{1}\\.){{1,3}}[A-Za-z]{{2,24}}", local, kLabel)},
      {"hostname", hostname},
      {"ipv4", fmt::format("{0}(?:\\.{0}){{3}}", kByte)},
      {"ipv6", ipv6()},
      {"uri",
       fmt::format("[A-Za-z][A-Za-z0-9+.-]{{1,15}}://{0}(?:/{1}*)?(?:\\?(?:{1}|\\?)*)?(?:#(?:{1}|\\?)*)?",
                   host, kUrlCharacter)},
      {"byte", "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"},
  };
}

}  // namespace

std::optional<std::string_view> find_format_pattern(std::string_view format) {
  static const std::map<std::string, std::string, std::less<>> kPatterns = make_patterns();
  const auto found = kPatterns.find(format);
  return found == kPatterns.end() ? std::nullopt : std::optional<std::string_view>(found->second);
}

bool is_format_without_form(std::string_view format) {
  return format == "password" || format == "binary";
}

}  // namespace beryl::text::grammar
