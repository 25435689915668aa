// Functions that every template finds: range, dict, namespace, raise_exception, strftime_now.
#pragma once

#include <string_view>

#include "text/template/value.h"

namespace beryl::text {

// Undefined when there is no global of that name.
Value find_global(std::string_view name);

}  // namespace beryl::text
