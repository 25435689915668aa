// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace beryl::cli {

// "812 B", "14.6 MB", "27.1 GB": powers of 1000.
std::string format_bytes(uint64_t bytes);

}  // namespace beryl::cli
