// The arguments of a call, put in the order of the parameters that they are for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "text/template/runtime.h"
#include "text/template/value.h"

namespace beryl::text {

class BoundArguments {
 public:
  // Errors: kInvalidInput naming `callee` when there are too many arguments, an unknown name, one given
  // twice, or fewer than the first `required`.
  BoundArguments(std::string_view callee, const Arguments& arguments,
                 std::initializer_list<std::string_view> names, size_t required = 0);

  bool has(size_t index) const { return is_given_[index]; }
  // Undefined when it was not given.
  const Value& at(size_t index) const { return values_[index]; }

  // `fallback` when it was not given. Errors: kInvalidInput when it is of another type.
  int64_t integer_or(size_t index, int64_t fallback) const;
  std::string_view text_or(size_t index, std::string_view fallback) const;
  bool is_true_or(size_t index, bool fallback) const;
  // Errors: kInvalidInput when it is not a string.
  const MarkedText& string_at(size_t index) const;

 private:
  static constexpr size_t kParametersMax = 6;

  std::string_view callee_;
  std::array<Value, kParametersMax> values_;
  std::array<bool, kParametersMax> is_given_{};
};

}  // namespace beryl::text
