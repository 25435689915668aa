// JSON from untrusted files: strict, bounded in depth and size, duplicate keys refused.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace beryl {

struct JsonLimits {
  int depth_max = 64;
  int64_t values_max = 1'000'000;
};

// Parses one JSON value that fills all of `text` (white space around it allowed). `source` names the text in
// errors, usually a file name. Errors: kInvalidInput with the byte position.
nlohmann::json parse_json(std::string_view text, std::string_view source, JsonLimits limits = {});

// The same, keeping the order in which the keys of objects are written. Look-ups in the result take time
// linear in the number of keys.
nlohmann::ordered_json parse_ordered_json(std::string_view text, std::string_view source,
                                          JsonLimits limits = {});

// The kind of a value with an article, for messages: "a list". Numbers of all kinds are "a number".
std::string_view json_kind(nlohmann::json::value_t type);

// What nlohmann's parser says is wrong, without its own labels, printable and bounded: it may quote the file.
std::string parse_error_reason(const nlohmann::detail::exception& error);

}  // namespace beryl
