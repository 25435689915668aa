#include "text/grammar/schema_merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace beryl::text::grammar {
namespace {

constexpr size_t kPartsMax = 256;  // of one flattened schema; also ends references that go in circles
// Of properties, values and so on that are compared each with each.
constexpr size_t kEntriesMax = 2000;

bool contains(const Schema& array, const Schema& value) {
  return std::find(array.begin(), array.end(), value) != array.end();
}

Schema union_of(Schema a, const Schema& b) {
  for (const Schema& value : b) {
    if (!contains(a, value)) a.push_back(value);
  }
  return a;
}

Schema intersection_of(const Schema& a, const Schema& b) {
  Schema result = Schema::array();
  for (const Schema& value : a) {
    if (contains(b, value)) result.push_back(value);
  }
  return result;
}

Schema as_array(const Schema& value) {
  return value.is_array() ? value : Schema::array({value});
}

// "integer" is within "number".
Schema common_types(const Schema& a, const Schema& b) {
  Schema result = Schema::array();
  for (const Schema& first : as_array(a)) {
    for (const Schema& second : as_array(b)) {
      if (first == second || (first == "integer" && second == "number")) result.push_back(first);
      if (first == "number" && second == "integer") result.push_back(second);
    }
  }
  return result;
}

Schema both(const Schema& a, const Schema& b) {
  return {{"allOf", Schema::array({a, b})}};
}

Schema merged_properties(Schema a, const Schema& b) {
  for (const auto& [name, schema] : b.items()) {
    const auto found = a.find(name);
    if (found == a.end()) {
      a[name] = schema;
    } else if (*found != schema) {
      *found = both(*found, schema);
    }
  }
  return a;
}

// A part that allows no properties but its own must know all of the other's.
void check_closed(const Schema& closed, const Schema& other, std::string_view pointer) {
  const Schema* additional = find_keyword(closed, "additionalProperties");
  if (additional == nullptr || *additional == Schema(true)) return;
  const Schema* names = find_keyword(other, "properties");
  if (names == nullptr) return;
  const Schema* own = find_keyword(closed, "properties");
  for (const auto& [name, schema] : names->items()) {
    if (own != nullptr && own->contains(name)) continue;
    fail_at(
        ErrorCode::kUnsupported, pointer,
        fmt::format("schemas to be combined, of which one has 'additionalProperties' and lacks '{}'", name));
  }
}

void check_size(const Schema& schema, std::string_view pointer) {
  if (!schema.is_object()) return;
  for (const auto& [name, value] : schema.items()) {
    if (!value.is_structured() || value.size() <= kEntriesMax) continue;
    fail_at(
        ErrorCode::kInvalidInput, pointer,
        fmt::format("'{}' has {} entries, at most {} are supported where schemas are combined or compared",
                    name, value.size(), kEntriesMax));
  }
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The value that satisfies both; nothing when there is none, so that no value is valid.
std::optional<Schema> merged_value(std::string_view name, const Schema& a, const Schema& b,
                                   std::string_view pointer) {
  if (name == "required" && a.is_array() && b.is_array()) return union_of(a, b);
  if (name == "properties" && a.is_object() && b.is_object()) return merged_properties(a, b);
  if (name == "items" || name == "additionalProperties" || name == "propertyNames") return both(a, b);
  if (name == "const") return std::nullopt;
  if (name == "type") {
    const Schema types = common_types(a, b);
    return types.empty() ? std::nullopt : std::optional(types);
  }
  if (name == "enum" && a.is_array() && b.is_array()) return intersection_of(a, b);
  if (is_one_of(name, {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}) &&
      a.is_number() && b.is_number()) {
    return std::max(a, b);
  }
  if (is_one_of(name, {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}) &&
      a.is_number() && b.is_number()) {
    return std::min(a, b);
  }
  if (name == "nullable") return Schema(a == Schema(true) && b == Schema(true));
  fail_at(ErrorCode::kUnsupported, pointer, fmt::format("two values of '{}' cannot be combined", name));
}

const Schema& followed(const Schema& schema, std::string_view pointer, const MergeContext& context) {
  const Schema* at = &schema;
  for (size_t i = 0; i < kPartsMax; ++i) {
    const Schema* reference = find_keyword(*at, "$ref");
    if (reference == nullptr || !reference->is_string()) return *at;
    at = &context.resolve(reference->get_ref<const std::string&>(), pointer);
  }
  return *at;
}

// The values that `const` or `enum` list; null when neither is there.
Schema listed_values(const Schema& schema) {
  if (const Schema* value = find_keyword(schema, "const")) return Schema::array({*value});
  const Schema* values = find_keyword(schema, "enum");
  return values == nullptr ? Schema(nullptr) : as_array(*values);
}

// By values and types alone.
bool have_disjoint_values(const Schema& a, const Schema& b, std::string_view pointer) {
  if (a == Schema(false) || b == Schema(false)) return true;
  if (!a.is_object() || !b.is_object()) return false;
  const Schema values_a = listed_values(a);
  const Schema values_b = listed_values(b);
  if (!values_a.is_null() && !values_b.is_null()) return intersection_of(values_a, values_b).empty();
  // Without `type` a schema of strings, say, accepts all numbers.
  const auto types = [&](const Schema& schema) {
    return find_keyword(schema, "type") == nullptr ? std::vector<std::string>() : types_of(schema, pointer);
  };
  const auto none_has = [](const Schema& values, const std::vector<std::string>& of) {
    return std::none_of(values.begin(), values.end(),
                        [&](const Schema& value) { return has_type(value, of); });
  };
  const std::vector<std::string> types_a = types(a);
  const std::vector<std::string> types_b = types(b);
  if (!values_a.is_null() && !types_b.empty()) return none_has(values_a, types_b);
  if (!values_b.is_null() && !types_a.empty()) return none_has(values_b, types_a);
  if (types_a.empty() || types_b.empty()) return false;
  return common_types(Schema(types_a), Schema(types_b)).empty();
}

bool requires_property(const Schema& schema, const std::string& name) {
  const Schema* required = find_keyword(schema, "required");
  return required != nullptr && required->is_array() && contains(*required, name);
}

// `a` forbids a property that `b` requires.
bool lacks_required(const Schema& a, const Schema& b) {
  const Schema* additional = find_keyword(a, "additionalProperties");
  const Schema* required = find_keyword(b, "required");
  if (additional == nullptr || *additional != Schema(false) || required == nullptr || !required->is_array())
    return false;
  if (find_keyword(a, "patternProperties") != nullptr) return false;
  const Schema* properties = find_keyword(a, "properties");
  return std::any_of(required->begin(), required->end(), [&](const Schema& name) {
    return name.is_string() &&
           (properties == nullptr || !properties->contains(name.get_ref<const std::string&>()));
  });
}

bool is_object_type(const Schema& schema) {
  const Schema* type = find_keyword(schema, "type");
  return type != nullptr && *type == Schema("object");
}

}  // namespace

void merge_into(Schema& target, const Schema& other, std::string_view pointer) {
  if (target == Schema(false) || other == Schema(true)) return;
  if (other == Schema(false)) {
    target = false;
    return;
  }
  if (!other.is_object()) fail_at(ErrorCode::kInvalidInput, pointer, "a schema is an object or a boolean");
  check_size(target, pointer);
  check_size(other, pointer);
  check_closed(target, other, pointer);
  check_closed(other, target, pointer);
  if (find_keyword(target, "oneOf") != nullptr && find_keyword(other, "oneOf") != nullptr) {
    fail_at(ErrorCode::kUnsupported, pointer, "two 'oneOf' cannot be combined");
  }
  for (const auto& [name, value] : other.items()) {
    if (is_annotation(name)) continue;
    const auto found = target.find(name);
    if (found == target.end()) {
      target[name] = value;
    } else if (*found != value) {
      std::optional<Schema> merged = merged_value(name, *found, value, pointer);
      if (!merged) {
        target = false;
        return;
      }
      *found = std::move(*merged);
    }
  }
}

Schema flatten(const Schema& schema, std::string_view pointer, const MergeContext& context) {
  Schema result = Schema::object();
  std::vector<Schema> parts{schema};  // the next one last
  size_t count = 0;
  while (!parts.empty()) {
    context.budget.check_clock();
    if (++count > kPartsMax) {
      fail_at(ErrorCode::kInvalidInput, pointer,
              fmt::format("more than {} schemas to be combined", kPartsMax));
    }
    Schema part = without_annotations(parts.back());
    parts.pop_back();
    const Schema* reference = find_keyword(part, "$ref");
    const Schema* all = find_array(part, "allOf", pointer);
    if (reference == nullptr && all == nullptr) {
      if (part.is_object()) check_keywords(part, pointer);
      merge_into(result, part, pointer);
      continue;
    }
    Schema own = part;
    own.erase("$ref");
    own.erase("allOf");
    if (!own.empty()) parts.push_back(std::move(own));
    if (all != nullptr) parts.insert(parts.end(), all->rbegin(), all->rend());
    if (reference != nullptr) {
      if (!reference->is_string()) fail_at(ErrorCode::kInvalidInput, pointer, "'$ref' is not a string");
      parts.push_back(context.resolve(reference->get_ref<const std::string&>(), pointer));
    }
  }
  return result;
}

bool are_disjoint(const Schema& a, const Schema& b, std::string_view pointer, const MergeContext& context) {
  const Schema& left = followed(a, pointer, context);
  const Schema& right = followed(b, pointer, context);
  context.budget.check_clock();
  check_size(left, pointer);
  check_size(right, pointer);
  if (have_disjoint_values(left, right, pointer)) return true;
  if (!is_object_type(left) || !is_object_type(right)) return false;
  if (lacks_required(left, right) || lacks_required(right, left)) return true;
  const Schema* properties = find_object(left, "properties", pointer);
  const Schema* others = find_object(right, "properties", pointer);
  if (properties == nullptr || others == nullptr) return false;
  for (const auto& [name, schema] : properties->items()) {
    const auto other = others->find(name);
    if (other == others->end() || !requires_property(left, name) || !requires_property(right, name)) continue;
    if (have_disjoint_values(followed(schema, pointer, context), followed(*other, pointer, context), pointer))
      return true;
  }
  return false;
}

}  // namespace beryl::text::grammar
