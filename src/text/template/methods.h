// The methods of strings, lists, maps and loops that templates may call. None of them changes its owner.
#pragma once

#include <optional>
#include <string_view>

#include "text/template/value.h"

namespace beryl::text {

// Bound to `owner`; nothing when values of its kind have no method of that name.
std::optional<Method> find_method(const Value& owner, std::string_view name);

}  // namespace beryl::text
