#include "text/grammar/schema_keywords.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/quote.h"

namespace beryl::text::grammar {
namespace {

constexpr std::array<std::string_view, 23> kAnnotations{"title",
                                                        "description",
                                                        "default",
                                                        "examples",
                                                        "example",
                                                        "$comment",
                                                        "deprecated",
                                                        "readOnly",
                                                        "writeOnly",
                                                        "$schema",
                                                        "$id",
                                                        "$anchor",
                                                        "$defs",
                                                        "definitions",
                                                        "$vocabulary",
                                                        "xml",
                                                        "externalDocs",
                                                        "discriminator",
                                                        "contentEncoding",
                                                        "contentMediaType",
                                                        "markdownDescription",
                                                        "enumDescriptions",
                                                        "enumNames"};

// Keyword, and the type of values that it is about; empty: of any.
struct Keyword {
  std::string_view name;
  std::string_view type;
};
constexpr std::array<Keyword, 30> kKeywords{{{"type", ""},
                                             {"enum", ""},
                                             {"const", ""},
                                             {"$ref", ""},
                                             {"allOf", ""},
                                             {"anyOf", ""},
                                             {"oneOf", ""},
                                             {"nullable", ""},
                                             {"properties", "object"},
                                             {"required", "object"},
                                             {"additionalProperties", "object"},
                                             {"patternProperties", "object"},
                                             {"propertyNames", "object"},
                                             {"minProperties", "object"},
                                             {"maxProperties", "object"},
                                             {"items", "array"},
                                             {"prefixItems", "array"},
                                             {"additionalItems", "array"},
                                             {"minItems", "array"},
                                             {"maxItems", "array"},
                                             {"uniqueItems", "array"},
                                             {"minLength", "string"},
                                             {"maxLength", "string"},
                                             {"pattern", "string"},
                                             {"format", "string"},
                                             {"minimum", "number"},
                                             {"maximum", "number"},
                                             {"exclusiveMinimum", "number"},
                                             {"exclusiveMaximum", "number"},
                                             {"multipleOf", "number"}}};
constexpr std::array<std::string_view, 7> kTypes{"null",   "boolean", "integer", "number",
                                                 "string", "array",   "object"};

const Keyword* find_known(std::string_view name) {
  const auto* found = std::find_if(kKeywords.begin(), kKeywords.end(),
                                   [&](const Keyword& keyword) { return keyword.name == name; });
  return found == kKeywords.end() ? nullptr : found;
}

}  // namespace

bool is_annotation(std::string_view keyword) {
  return keyword.starts_with("x-") ||
         std::find(kAnnotations.begin(), kAnnotations.end(), keyword) != kAnnotations.end();
}

void fail_at(ErrorCode code, std::string_view pointer, std::string_view message) {
  throw Error(code, fmt::format("schema at {}: {}", quote(pointer.empty() ? "/" : pointer), message));
}

void check_keywords(const Schema& schema, std::string_view pointer) {
  for (const auto& [name, value] : schema.items()) {
    if (is_annotation(name) || find_known(name) != nullptr) continue;
    fail_at(ErrorCode::kUnsupported, pointer, fmt::format("keyword {} is not supported", quote(name)));
  }
}

Schema without_annotations(const Schema& schema) {
  if (!schema.is_object()) return schema;
  Schema result = Schema::object();
  auto& entries = result.get_ref<Schema::object_t&>();
  for (const auto& [name, value] : schema.items()) {
    if (!is_annotation(name)) entries.emplace_back(name, value);
  }
  return result;
}

const Schema* find_keyword(const Schema& schema, std::string_view keyword) {
  if (!schema.is_object()) return nullptr;
  const auto found = schema.find(keyword);
  return found == schema.end() ? nullptr : &*found;
}

std::optional<uint32_t> find_count(const Schema& schema, std::string_view keyword, std::string_view pointer) {
  const Schema* value = find_keyword(schema, keyword);
  if (value == nullptr) return std::nullopt;
  const double number = value->is_number() ? value->get<double>() : -1;
  constexpr double kMax = std::numeric_limits<int32_t>::max();
  if (!(number >= 0 && number <= kMax) || number != static_cast<double>(static_cast<uint32_t>(number))) {
    fail_at(ErrorCode::kInvalidInput, pointer,
            fmt::format("'{}' is {}, expected an integer from 0 to 2147483647", keyword,
                        printable(value->dump(), 40)));
  }
  return static_cast<uint32_t>(number);
}

const Schema* find_array(const Schema& schema, std::string_view keyword, std::string_view pointer) {
  const Schema* value = find_keyword(schema, keyword);
  if (value != nullptr && !value->is_array()) {
    fail_at(ErrorCode::kInvalidInput, pointer, fmt::format("'{}' is not an array", keyword));
  }
  return value;
}

const Schema* find_object(const Schema& schema, std::string_view keyword, std::string_view pointer) {
  const Schema* value = find_keyword(schema, keyword);
  if (value != nullptr && !value->is_object()) {
    fail_at(ErrorCode::kInvalidInput, pointer, fmt::format("'{}' is not an object", keyword));
  }
  return value;
}

std::vector<std::string> types_of(const Schema& schema, std::string_view pointer) {
  std::vector<std::string> types;
  const Schema* type = find_keyword(schema, "type");
  if (type == nullptr) {
    for (const auto& [name, value] : schema.items()) {
      const Keyword* keyword = find_known(name);
      if (keyword == nullptr || keyword->type.empty()) continue;
      if (std::find(types.begin(), types.end(), keyword->type) == types.end())
        types.emplace_back(keyword->type);
    }
    return types;
  }
  const auto add = [&](const Schema& name) {
    if (!name.is_string() ||
        std::find(kTypes.begin(), kTypes.end(), name.get_ref<const std::string&>()) == kTypes.end()) {
      fail_at(ErrorCode::kInvalidInput, pointer, fmt::format("{} is no type", printable(name.dump(), 40)));
    }
    const auto& text = name.get_ref<const std::string&>();
    if (std::find(types.begin(), types.end(), text) == types.end()) types.push_back(text);
  };
  if (type->is_array()) {
    for (const Schema& name : *type) add(name);
    if (types.empty()) fail_at(ErrorCode::kInvalidInput, pointer, "'type' is an empty list");
  } else {
    add(*type);
  }
  return types;
}

bool has_type(const Schema& value, const std::vector<std::string>& types) {
  return std::any_of(types.begin(), types.end(), [&](const std::string& type) {
    if (type == "null") return value.is_null();
    if (type == "boolean") return value.is_boolean();
    if (type == "string") return value.is_string();
    if (type == "array") return value.is_array();
    if (type == "object") return value.is_object();
    if (type == "number") return value.is_number();
    return value.is_number_integer() ||
           (value.is_number_float() && value.get<double>() == std::trunc(value.get<double>()));
  });
}

std::string join_pointer(std::string_view pointer, std::string_view key) {
  std::string result(pointer);
  result += '/';
  for (const char c : key) {
    if (c == '~') {
      result += "~0";
    } else if (c == '/') {
      result += "~1";
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace beryl::text::grammar
