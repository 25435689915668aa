// Any stop strings, text and cuts: the outcome is that of a plain search in the whole text.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/stop_matcher.h"

namespace {

using beryl::text::StopMatcher;
using beryl::text::StopText;

// The start of the first match to end, the longest of those; npos when there is none.
size_t find_stop(const std::vector<std::string>& stops, std::string_view text) {
  size_t first_end = std::string_view::npos;
  size_t start = std::string_view::npos;
  for (const std::string& stop : stops) {
    const size_t at = text.find(stop);
    if (at == std::string_view::npos) continue;
    const size_t end = at + stop.size();
    if (end > first_end || (end == first_end && at > start)) continue;
    first_end = end;
    start = at;
  }
  return start;
}

// The bytes up to the next zero, which are removed together with it.
std::string_view take_field(std::string_view& data) {
  const size_t end = data.find('\0');
  const std::string_view field = data.substr(0, end);
  data.remove_prefix(end == std::string_view::npos ? data.size() : end + 1);
  return field;
}

}  // namespace

// Fields that end with a zero byte: stop strings up to an empty one, then the pieces of the text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  std::string_view data(reinterpret_cast<const char*>(bytes), size);
  std::vector<std::string> stops;
  while (stops.size() < StopMatcher::kStringsMax) {
    const std::string_view stop = take_field(data).substr(0, StopMatcher::kBytesMax);
    if (stop.empty()) break;
    stops.emplace_back(stop);
  }
  StopMatcher matcher(stops, StopText::kHide);
  std::string text;
  std::string shown;
  while (!data.empty()) {
    const std::string_view piece = take_field(data);
    text += piece;
    shown += matcher.push(piece);
  }
  shown += matcher.flush();
  const size_t start = find_stop(stops, text);
  BERYL_CHECK(matcher.matched().has_value() == (start != std::string_view::npos));
  BERYL_CHECK(shown == text.substr(0, start));
  return 0;
}
