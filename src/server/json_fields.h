// The fields of a request's JSON, read with their place in every error: "stream_options.include_usage:
// expected true or false, found a string".
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace beryl::server {

using Json = nlohmann::ordered_json;

// Throws kInvalidInput with "field: message".
[[noreturn]] void fail_field(std::string_view field, std::string_view message);

// One object. A field whose value is null counts as absent. Errors are kInvalidInput.
class JsonFields {
 public:
  // `object` is borrowed; `path` is empty for the request itself. Errors: when it is no object, or has more
  // fields than any request needs.
  explicit JsonFields(const Json& object, std::string path = {});

  // Null when absent.
  const Json* find(std::string_view name);
  std::optional<bool> find_boolean(std::string_view name);
  std::optional<int64_t> find_integer(std::string_view name, int64_t min, int64_t max);
  std::optional<double> find_number(std::string_view name, double min, double max);
  // Any 64 bits, written with a sign or without.
  std::optional<uint64_t> find_bits(std::string_view name);
  std::optional<std::string> find_text(std::string_view name);
  // A list of texts, or one text alone; empty when absent.
  std::vector<std::string> find_texts(std::string_view name, size_t count_max);
  // A list of token ids in [0, vocabulary_size).
  std::vector<int32_t> find_tokens(std::string_view name, int32_t vocabulary_size);

  // Throws kUnsupported when the field is there: silence would change what the answer means.
  void refuse(std::string_view name, std::string_view reason);
  // Fields that mean nothing here and are none that clients get wrong.
  void ignore(std::initializer_list<std::string_view> names);

  // "stream_options.include_usage"
  std::string path_of(std::string_view name) const;
  // The names of fields that nobody has asked for.
  std::vector<std::string> unread() const;

 private:
  const Json& object_;
  std::string path_;
  std::set<std::string, std::less<>> asked_;
};

// A list of token ids. Errors as find_tokens(); `field` names the list.
std::vector<int32_t> read_tokens(const Json& list, const std::string& field, int32_t vocabulary_size);

}  // namespace beryl::server
