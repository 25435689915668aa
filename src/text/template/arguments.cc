#include "text/template/arguments.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/quote.h"
#include "text/template/value_order.h"

namespace beryl::text {

BoundArguments::BoundArguments(std::string_view callee, const Arguments& arguments,
                               std::initializer_list<std::string_view> names, size_t required)
    : callee_(callee) {
  BERYL_CHECK(names.size() <= kParametersMax);
  if (arguments.positional.size() > names.size()) {
    fail_render(fmt::format("{}() takes at most {} arguments, got {}", callee, names.size(),
                            arguments.positional.size()));
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = arguments.positional[i];
    is_given_[i] = true;
  }
  for (const NamedValue& argument : arguments.named) {
    const auto* const name = std::find(names.begin(), names.end(), argument.name);
    if (name == names.end())
      fail_render(fmt::format("{}() has no parameter {}", callee, quote(argument.name)));
    const auto index = static_cast<size_t>(name - names.begin());
    if (is_given_[index])
      fail_render(fmt::format("{}() got parameter {} twice", callee, quote(argument.name)));
    values_[index] = argument.value;
    is_given_[index] = true;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!is_given_[i]) fail_render(fmt::format("{}() needs an argument '{}'", callee, *(names.begin() + i)));
  }
}

int64_t BoundArguments::integer_or(size_t index, int64_t fallback) const {
  if (!is_given_[index]) return fallback;
  if (!values_[index].is_integral()) {
    fail_render(fmt::format("{}(): expected an integer, found {}", callee_, type_name(values_[index])));
  }
  return values_[index].integer();
}

std::string_view BoundArguments::text_or(size_t index, std::string_view fallback) const {
  return is_given_[index] ? string_at(index).text() : fallback;
}

bool BoundArguments::is_true_or(size_t index, bool fallback) const {
  return is_given_[index] ? is_true(values_[index]) : fallback;
}

const MarkedText& BoundArguments::string_at(size_t index) const {
  if (!values_[index].is(Kind::kString)) {
    fail_render(fmt::format("{}(): expected a string, found {}", callee_, type_name(values_[index])));
  }
  return values_[index].string();
}

}  // namespace beryl::text
