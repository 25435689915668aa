// Which keywords of JSON schema mean what to us, and how their values are read.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace beryl::text::grammar {

using Schema = nlohmann::ordered_json;

// Says nothing about which values are valid.
bool is_annotation(std::string_view keyword);

[[noreturn]] void fail_at(ErrorCode code, std::string_view pointer, std::string_view message);

// Errors: kUnsupported for a keyword that is neither known nor an annotation.
void check_keywords(const Schema& schema, std::string_view pointer);

// `schema` without annotations.
Schema without_annotations(const Schema& schema);

// The value of a keyword of an object; null when it is absent.
const Schema* find_keyword(const Schema& schema, std::string_view keyword);
// The value as an integer from 0 to 2^31 - 1. Errors: kInvalidInput when it is something else.
std::optional<uint32_t> find_count(const Schema& schema, std::string_view keyword, std::string_view pointer);
// The value as an array or object. Errors: kInvalidInput when it is something else.
const Schema* find_array(const Schema& schema, std::string_view keyword, std::string_view pointer);
const Schema* find_object(const Schema& schema, std::string_view keyword, std::string_view pointer);

// "null", "boolean", ... that `type` names; without `type` those that the other keywords are about, and none
// when there are no such keywords. Errors: kInvalidInput for a name that is no type.
std::vector<std::string> types_of(const Schema& schema, std::string_view pointer);
// Whether a value is of one of these types.
bool has_type(const Schema& value, const std::vector<std::string>& types);

// `pointer` with `key` behind it, as JSON pointers are written.
std::string join_pointer(std::string_view pointer, std::string_view key);

}  // namespace beryl::text::grammar
