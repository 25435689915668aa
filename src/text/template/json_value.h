// From JSON to values of a template.
#pragma once

#include <nlohmann/json.hpp>

#include "text/template/arena.h"
#include "text/template/value.h"

namespace beryl::text {

// Strings and keys are of `origin` and point into `json`, which outlives the value. Errors: kInvalidInput for
// an integer beyond 64 bits with sign, kResource past kValueDepthMax or the arena's budget.
Value value_of_json(Arena& arena, const nlohmann::ordered_json& json, Origin origin);

}  // namespace beryl::text
