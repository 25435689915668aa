// One entry of a list of module names in a quantisation configuration, in the ways in which tools write them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace beryl::checkpoint {

class NamePattern {
 public:
  enum class Style : uint8_t {
    kName,        // the whole name
    kExpression,  // a regular expression that must match from the start of the name
    kMarked,      // "re:" and such an expression, else the whole name (compressed-tensors)
    kWildcard,    // the whole name with * ? [...] (ModelOpt)
    kSuffix,      // the whole name, or its end from a dot on (Hugging Face skip lists)
  };

  // Errors: kInvalidInput for an expression that is malformed or too large; `source` names the field.
  NamePattern(Style style, std::string text, std::string_view source);
  ~NamePattern();
  NamePattern(NamePattern&&) noexcept;
  NamePattern& operator=(NamePattern&&) noexcept;

  const std::string& text() const { return text_; }
  bool is_expression() const { return expression_ != nullptr; }
  bool matches(std::string_view name) const;

 private:
  Style style_;
  std::string text_;
  std::unique_ptr<re2::RE2> expression_;  // null for plain names
};

}  // namespace beryl::checkpoint
