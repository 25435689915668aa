// Typed reads of JSON fields, with errors that name the field. Null counts as absent: many writers emit it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace beryl::checkpoint {

class ConfigFields {
 public:
  // `object` is borrowed; `path` names it in errors, for example "config.json: text_config".
  // Errors: kInvalidInput when it is not an object.
  ConfigFields(const nlohmann::json& object, std::string path);

  const std::string& path() const { return path_; }
  const nlohmann::json& object() const { return object_; }
  // Whether the field is there at all, be it null.
  bool contains(std::string_view name) const { return object_.contains(std::string(name)); }
  // Null when absent.
  const nlohmann::json* find(std::string_view name) const;

  // Errors: kInvalidInput for another type or a value outside [min, max].
  std::optional<int64_t> find_integer(std::string_view name, int64_t min, int64_t max) const;
  std::optional<double> find_number(std::string_view name, double min, double max) const;
  std::optional<bool> find_bool(std::string_view name) const;
  std::optional<std::string> find_string(std::string_view name) const;

  // Errors: as above, and kInvalidInput when absent.
  int64_t integer(std::string_view name, int64_t min, int64_t max) const;

  // Throws kInvalidInput: "PATH: NAME is FOUND, expected EXPECTED".
  [[noreturn]] void fail(std::string_view name, std::string_view expected) const;

 private:
  const nlohmann::json& object_;
  std::string path_;
};

}  // namespace beryl::checkpoint
