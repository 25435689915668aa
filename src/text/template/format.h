// Python's two ways to fill text with values: "%s" % value and "{}".format(value).
#pragma once

#include <cstdint>
#include <span>

#include "text/template/marked_text.h"
#include "text/template/runtime.h"
#include "text/template/value.h"

namespace beryl::text {

// %s, %r, %d, %i, %f, %e, %g, %x, %X, %o and %%, with flags (- + 0 space), width and precision. `values` are
// taken in turn, or by name, %(name)s, when there is just one and it is a map. Errors: kInvalidInput.
MarkedText format_percent(Runtime& runtime, const MarkedText& format, std::span<const Value> values);

// {}, {0} and {name}, each with !s or !r and a specification [[fill]align][sign][0][width][.precision][type]
// of type d, f, e, g, x, X, o or s. Errors: kInvalidInput.
MarkedText format_braces(Runtime& runtime, const MarkedText& format, const Arguments& arguments);

}  // namespace beryl::text
