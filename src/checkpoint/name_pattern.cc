#include "checkpoint/name_pattern.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <utility>

#include "base/error.h"

namespace beryl::checkpoint {
namespace {

constexpr size_t kPatternBytesMax = 4096;
constexpr int64_t kPatternMemoryBytes = 1 << 20;

// The regular expression of a shell wildcard. A bracket without an end stands for itself.
std::string expression_of_wildcard(std::string_view text) {
  std::string expression;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t end = text[i] == '[' ? text.find(']', i + 2) : std::string_view::npos;
    if (text[i] == '*') {
      expression += ".*";
    } else if (text[i] == '?') {
      expression += '.';
    } else if (end != std::string_view::npos) {
      const bool is_negated = text[i + 1] == '!';
      const std::string_view set = text.substr(i + 1 + is_negated, end - i - 1 - is_negated);
      expression += is_negated ? "[^" : "[";
      for (const char c : set) {
        if (c == '\\' || c == '^' || c == '[') expression += '\\';
        expression += c;
      }
      expression += ']';
      i = end;
    } else {
      expression += re2::RE2::QuoteMeta(text.substr(i, 1));
    }
  }
  return expression;
}

}  // namespace

NamePattern::~NamePattern() = default;
NamePattern::NamePattern(NamePattern&&) noexcept = default;
NamePattern& NamePattern::operator=(NamePattern&&) noexcept = default;

NamePattern::NamePattern(Style style, std::string text, std::string_view source)
    : style_(style), text_(std::move(text)) {
  std::string expression;
  if (style == Style::kMarked && text_.starts_with("re:")) expression = text_.substr(3);
  if (style == Style::kExpression) expression = text_;
  if (style == Style::kWildcard && text_.find_first_of("*?[") != std::string::npos) {
    expression = expression_of_wildcard(text_);
  }
  const bool is_plain = style == Style::kName || style == Style::kSuffix ||
                        (style == Style::kMarked && !text_.starts_with("re:")) ||
                        (style == Style::kWildcard && expression.empty());
  if (is_plain) return;
  if (text_.size() > kPatternBytesMax) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: pattern of {} bytes, at most {} are allowed",
                                                      source, text_.size(), kPatternBytesMax));
  }
  re2::RE2::Options options;
  options.set_max_mem(kPatternMemoryBytes);
  options.set_log_errors(false);
  options.set_dot_nl(true);
  expression_ = std::make_unique<re2::RE2>(expression, options);
  if (!expression_->ok()) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: pattern \"{}\" cannot be understood: {}", source,
                                                      text_, expression_->error()));
  }
}

bool NamePattern::matches(std::string_view name) const {
  if (expression_ != nullptr) {
    const auto anchor = style_ == Style::kWildcard ? re2::RE2::ANCHOR_BOTH : re2::RE2::ANCHOR_START;
    return expression_->Match(name, 0, name.size(), anchor, nullptr, 0);
  }
  if (name == text_) return true;
  return style_ == Style::kSuffix && name.size() > text_.size() && name.ends_with(text_) &&
         name[name.size() - text_.size() - 1] == '.';
}

}  // namespace beryl::checkpoint
