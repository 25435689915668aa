// What may stand behind `is`: Jinja's tests.
#pragma once

#include <string_view>

#include "text/template/runtime.h"
#include "text/template/value.h"

namespace beryl::text {

using Predicate = bool (*)(Runtime& runtime, const Value& value, const Arguments& arguments);

// Null when there is no test of that name.
Predicate find_predicate(std::string_view name);

}  // namespace beryl::text
