#include "server/json_fields.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace beryl::server {
namespace {

// Look-ups take time in proportion; the richest clients send about forty.
constexpr size_t kFieldsMax = 1'000;

[[noreturn]] void fail_kind(std::string_view field, std::string_view expected, const Json& found) {
  fail_field(field, fmt::format("expected {}, found {}", expected, json_kind(found.type())));
}

// Numbers like 16.0 count: some languages have no others.
std::optional<int64_t> as_integer(const Json& json) {
  if (json.is_number_unsigned()) {
    const auto value = json.get<uint64_t>();
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    return static_cast<int64_t>(value);
  }
  if (json.is_number_integer()) return json.get<int64_t>();
  if (!json.is_number_float()) return std::nullopt;
  const auto value = json.get<double>();
  constexpr double kExactMax = 9007199254740992.0;  // 2^53
  if (!(value >= -kExactMax && value <= kExactMax)) return std::nullopt;
  const auto whole = static_cast<int64_t>(value);
  return static_cast<double>(whole) == value ? std::optional(whole) : std::nullopt;
}

}  // namespace

void fail_field(std::string_view field, std::string_view message) {
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", field, message));
}

JsonFields::JsonFields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  const std::string_view name = path_.empty() ? std::string_view("the request's body") : path_;
  if (!object_.is_object()) fail_kind(name, "an object", object_);
  if (object_.size() > kFieldsMax) {
    fail_field(name, fmt::format("{} fields, at most {} are allowed", object_.size(), kFieldsMax));
  }
}

std::string JsonFields::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

const Json* JsonFields::find(std::string_view name) {
  asked_.emplace(name);
  const auto field = object_.find(name);
  return field == object_.end() || field->is_null() ? nullptr : &*field;
}

std::optional<bool> JsonFields::find_boolean(std::string_view name) {
  const Json* const field = find(name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_boolean()) fail_kind(path_of(name), "true or false", *field);
  return field->get<bool>();
}

std::optional<int64_t> JsonFields::find_integer(std::string_view name, int64_t min, int64_t max) {
  const Json* const field = find(name);
  if (field == nullptr) return std::nullopt;
  const auto expected = [&] {
    return max == std::numeric_limits<int64_t>::max() ? fmt::format("a whole number of at least {}", min)
                                                      : fmt::format("a whole number from {} to {}", min, max);
  };
  if (!field->is_number()) fail_kind(path_of(name), expected(), *field);
  const std::optional<int64_t> value = as_integer(*field);
  if (!value || *value < min || *value > max) {
    fail_field(path_of(name), fmt::format("expected {}, found {}", expected(), field->dump()));
  }
  return value;
}

std::optional<double> JsonFields::find_number(std::string_view name, double min, double max) {
  const Json* const field = find(name);
  if (field == nullptr) return std::nullopt;
  const auto expected = [&] { return fmt::format("a number from {} to {}", min, max); };
  if (!field->is_number()) fail_kind(path_of(name), expected(), *field);
  const auto value = field->get<double>();
  if (!(value >= min && value <= max)) {
    fail_field(path_of(name), fmt::format("expected {}, found {}", expected(), field->dump()));
  }
  return value;
}

std::optional<uint64_t> JsonFields::find_bits(std::string_view name) {
  const Json* const field = find(name);
  if (field == nullptr) return std::nullopt;
  if (field->is_number_unsigned()) return field->get<uint64_t>();
  const std::optional<int64_t> value = as_integer(*field);
  if (!value) fail_field(path_of(name), "expected a whole number of 64 bits");
  return static_cast<uint64_t>(*value);
}

std::optional<std::string> JsonFields::find_text(std::string_view name) {
  const Json* const field = find(name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_string()) fail_kind(path_of(name), "a string", *field);
  return field->get<std::string>();
}

std::vector<std::string> JsonFields::find_texts(std::string_view name, size_t count_max) {
  const Json* const field = find(name);
  if (field == nullptr) return {};
  if (field->is_string()) return {field->get<std::string>()};
  if (!field->is_array()) fail_kind(path_of(name), "a string or a list of strings", *field);
  if (field->size() > count_max) {
    fail_field(path_of(name), fmt::format("{} entries, at most {} are allowed", field->size(), count_max));
  }
  std::vector<std::string> texts;
  for (const Json& entry : *field) {
    if (!entry.is_string()) {
      fail_kind(fmt::format("{}[{}]", path_of(name), texts.size()), "a string", entry);
    }
    texts.push_back(entry.get<std::string>());
  }
  return texts;
}

std::vector<int32_t> JsonFields::find_tokens(std::string_view name, int32_t vocabulary_size) {
  const Json* const field = find(name);
  if (field == nullptr) return {};
  return read_tokens(*field, path_of(name), vocabulary_size);
}

std::vector<int32_t> read_tokens(const Json& list, const std::string& field, int32_t vocabulary_size) {
  if (!list.is_array()) fail_kind(field, "a list of token ids", list);
  std::vector<int32_t> tokens;
  tokens.reserve(list.size());
  for (const Json& entry : list) {
    const std::optional<int64_t> token = as_integer(entry);
    if (!token || *token < 0 || *token >= vocabulary_size) {
      fail_field(fmt::format("{}[{}]", field, tokens.size()),
                 fmt::format("expected a token id from 0 to {}", vocabulary_size - 1));
    }
    tokens.push_back(static_cast<int32_t>(*token));
  }
  return tokens;
}

void JsonFields::refuse(std::string_view name, std::string_view reason) {
  if (find(name) == nullptr) return;
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: {}", path_of(name), reason));
}

void JsonFields::ignore(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) asked_.emplace(name);
}

std::vector<std::string> JsonFields::unread() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : object_.items()) {
    if (!asked_.contains(name)) names.push_back(path_of(name));
  }
  return names;
}

}  // namespace beryl::server
