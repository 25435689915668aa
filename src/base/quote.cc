#include "base/quote.h"

#include <fmt/format.h>

#include <iterator>

namespace beryl {

std::string printable(std::string_view raw, size_t bytes_max) {
  std::string text;
  for (const char c : raw.substr(0, bytes_max)) {
    if (c >= 0x20 && c < 0x7f) {
      text.push_back(c);
    } else {
      fmt::format_to(std::back_inserter(text), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (raw.size() > bytes_max) text += "...";
  return text;
}

std::string quote(std::string_view raw, size_t bytes_max) {
  return fmt::format("'{}'", printable(raw, bytes_max));
}

}  // namespace beryl
