// Whatever bytes arrive, what comes out is UTF-8 at every moment, and valid input comes out as it is.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "text/utf8_stream.h"

namespace {

// The same by another way: the longest valid stretch, then one U+FFFD for the maximal subpart after it, found
// by trying which completions would make it valid.
std::string repair_slowly(std::string_view bytes) {
  using beryl::text::find_invalid_utf8;
  constexpr std::string_view kTails[] = {"\x80", "\x80\x80", "\x80\x80\x80", "\xA0\x80", "\x90\x80\x80"};
  const auto can_be_completed = [&](std::string_view start) {
    for (const std::string_view tail : kTails) {
      const std::string whole = std::string(start) + std::string(tail);
      if (!find_invalid_utf8(whole)) return true;
    }
    return false;
  };
  std::string out;
  while (true) {
    const auto fault = find_invalid_utf8(bytes);
    out += bytes.substr(0, fault.value_or(bytes.size()));
    if (!fault) return out;
    bytes.remove_prefix(*fault);
    size_t length = 1;
    while (length < bytes.size() && can_be_completed(bytes.substr(0, length + 1))) ++length;
    out += beryl::text::kReplacementCharacter;
    bytes.remove_prefix(length);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  beryl::text::Utf8Stream stream;
  std::string out;
  size_t checked = 0;
  for (size_t i = 0; i < size; ++i) {
    stream.push(data[i], out);
    BERYL_CHECK(!beryl::text::find_invalid_utf8(std::string_view(out).substr(checked)));
    checked = out.size();
  }
  stream.flush(out);
  BERYL_CHECK(!stream.has_pending());
  BERYL_CHECK(out == repair_slowly({reinterpret_cast<const char*>(data), size}));
  return 0;
}
