// Untrusted text for messages. Names and words from a file may hold escape sequences for the terminal, broken
// UTF-8 or megabytes; a message must hold none of them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace beryl {

// `raw` with every byte outside printable ASCII as \xNN; after `bytes_max` bytes "..." stands for the rest.
std::string printable(std::string_view raw, size_t bytes_max = 160);

// The same between single quotes.
std::string quote(std::string_view raw, size_t bytes_max = 160);

}  // namespace beryl
