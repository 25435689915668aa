// object.name, object[key], object[a:b:c], as Jinja looks them up.
#pragma once

#include "text/template/runtime.h"
#include "text/template/value.h"

namespace beryl::text {

// object.name: a method or built-in attribute first, then a key. Undefined when there is neither: nothing of
// the host or of the implementation can be reached. Errors: kInvalidInput when `object` is undefined.
Value find_attribute(Runtime& runtime, const Value& object, const Value& name);

// object[key]: an item or key first, then a method or built-in attribute.
Value find_item(Runtime& runtime, const Value& object, const Value& key);

// Each bound may be undefined. Undefined when `object` has no items in order. Errors: kInvalidInput for maps
// and when `object` is undefined.
Value slice_of(Runtime& runtime, const Value& object, const Value& begin, const Value& end,
               const Value& step);

}  // namespace beryl::text
