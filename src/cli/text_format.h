// Numbers and errors as people read them.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace beryl::cli {

// "812 B", "14.6 MB", "27.1 GB": powers of 1000.
std::string format_bytes(uint64_t bytes);

// "error: ..." and, where there is a remedy, "help: ...", a line each.
std::string format_error(const Error& error);

}  // namespace beryl::cli
