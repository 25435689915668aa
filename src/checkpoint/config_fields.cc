#include "checkpoint/config_fields.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"

namespace beryl::checkpoint {
namespace {

// Enough of a value to recognise it in a message.
std::string excerpt(const nlohmann::json& value) {
  constexpr size_t kLengthMax = 60;
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > kLengthMax) text = text.substr(0, kLengthMax) + "...";
  return text;
}

}  // namespace

ConfigFields::ConfigFields(const nlohmann::json& object, std::string path)
    : object_(object), path_(std::move(path)) {
  if (!object.is_object()) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}, expected an object", path_, excerpt(object)));
  }
}

const nlohmann::json* ConfigFields::find(std::string_view name) const {
  const auto field = object_.find(std::string(name));
  return field == object_.end() || field->is_null() ? nullptr : &*field;
}

std::optional<int64_t> ConfigFields::find_integer(std::string_view name, int64_t min, int64_t max) const {
  const nlohmann::json* field = find(name);
  if (field == nullptr) return std::nullopt;
  const std::string expected = fmt::format("an integer from {} to {}", min, max);
  if (!field->is_number_integer()) fail(name, expected);
  if (field->is_number_unsigned() && field->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    fail(name, expected);
  }
  const auto value = field->get<int64_t>();
  if (value < min || value > max) fail(name, expected);
  return value;
}

std::optional<double> ConfigFields::find_number(std::string_view name, double min, double max) const {
  const nlohmann::json* field = find(name);
  if (field == nullptr) return std::nullopt;
  const std::string expected = fmt::format("a number from {} to {}", min, max);
  if (!field->is_number()) fail(name, expected);
  const auto value = field->get<double>();
  if (!(value >= min && value <= max)) fail(name, expected);
  return value;
}

std::optional<bool> ConfigFields::find_bool(std::string_view name) const {
  const nlohmann::json* field = find(name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_boolean()) fail(name, "true or false");
  return field->get<bool>();
}

std::optional<std::string> ConfigFields::find_string(std::string_view name) const {
  const nlohmann::json* field = find(name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_string()) fail(name, "a string");
  return field->get<std::string>();
}

int64_t ConfigFields::integer(std::string_view name, int64_t min, int64_t max) const {
  const std::optional<int64_t> value = find_integer(name, min, max);
  if (!value) fail(name, fmt::format("an integer from {} to {}", min, max));
  return *value;
}

void ConfigFields::fail(std::string_view name, std::string_view expected) const {
  const nlohmann::json* field = find(name);
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} is {}, expected {}", path_, name,
                                                    field ? excerpt(*field) : "missing", expected));
}

}  // namespace beryl::checkpoint
