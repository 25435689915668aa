// Objects of a schema.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "text/grammar/schema_compiler.h"
#include "text/grammar/text_sets.h"

namespace beryl::text::grammar {
namespace {

constexpr uint32_t kBareKeyLengthMax = 64;

// The declared properties, and what is known of others.
class ObjectReader {
 public:
  ObjectReader(SchemaCompiler& compiler, const Schema& schema, const std::string& pointer)
      : compiler_(compiler),
        grammar_(compiler.grammar()),
        spelling_(compiler.spelling()),
        schema_(schema),
        pointer_(pointer) {}

  NodeId read() {
    read_required();
    read_properties();
    const std::optional<NodeId> other = read_other();
    NodeId members = grammar_.nothing();
    if (names_.empty() && other) {
      members = only_others(*other);
    } else {
      check_counts(other.has_value());
      if (other) items_.push_back({*other, ItemCount::kAnyNumber});
      members = items_.empty() ? grammar_.empty() : grammar_.list(items_, spelling_.comma());
    }
    return grammar_.sequence(
        {grammar_.literal("{"), spelling_.gap(), members, spelling_.gap(), grammar_.literal("}")});
  }

 private:
  void read_required() {
    const Schema* required = find_array(schema_, "required", pointer_);
    if (required == nullptr) return;
    for (const Schema& name : *required) {
      if (!name.is_string())
        fail_at(ErrorCode::kInvalidInput, pointer_, "'required' holds something other than a name");
      required_.push_back(name.get<std::string>());
    }
    std::sort(required_.begin(), required_.end());
    required_.erase(std::unique(required_.begin(), required_.end()), required_.end());
  }

  bool is_required(const std::string& name) const {
    return std::binary_search(required_.begin(), required_.end(), name);
  }

  void read_properties() {
    struct Property {
      std::string name;
      NodeId value;  // ascending in the order of declaration
    };
    std::vector<Property> properties;
    if (const Schema* declared = find_object(schema_, "properties", pointer_)) {
      const std::string place = join_pointer(pointer_, "properties");
      for (const auto& [name, schema] : declared->items()) {
        names_.push_back(name);
        properties.push_back({name, compiler_.values_of(schema, join_pointer(place, name))});
      }
    }
    std::vector<std::string> declared = names_;
    std::sort(declared.begin(), declared.end());
    for (const std::string& name : required_) {
      if (std::binary_search(declared.begin(), declared.end(), name)) continue;
      names_.push_back(name);
      properties.push_back({name, undeclared_value()});
    }
    // Chat templates list the properties of tools in this order, and models follow what they have read.
    if (spelling_.notation() == Notation::kToolArguments) {
      std::sort(properties.begin(), properties.end(), [](const Property& a, const Property& b) {
        return std::pair(in_lower_case(a.name), a.value) < std::pair(in_lower_case(b.name), b.value);
      });
    }
    for (const Property& property : properties) {
      const NodeId member = grammar_.sequence({spelling_.key(property.name), property.value});
      items_.push_back({member, is_required(property.name) ? ItemCount::kOnce : ItemCount::kOptional});
    }
  }

  static std::string in_lower_case(std::string text) {
    for (char& c : text) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
  }

  // Of a property that is required, but not among `properties`.
  NodeId undeclared_value() {
    const Schema* additional = find_keyword(schema_, "additionalProperties");
    if (find_keyword(schema_, "patternProperties") != nullptr ||
        find_keyword(schema_, "propertyNames") != nullptr) {
      fail_at(ErrorCode::kUnsupported, pointer_, "'required' names a property that is not in 'properties'");
    }
    if (additional == nullptr) return compiler_.any_value();
    return compiler_.values_of(*additional, join_pointer(pointer_, "additionalProperties"));
  }

  // A member that is not declared; nothing if there can be none.
  std::optional<NodeId> read_other() {
    const Schema* additional = find_keyword(schema_, "additionalProperties");
    const Schema* patterns = find_object(schema_, "patternProperties", pointer_);
    const Schema* naming = find_keyword(schema_, "propertyNames");
    if (patterns != nullptr && !patterns->empty()) return read_pattern(*patterns, additional, naming);
    if (additional == nullptr && find_keyword(schema_, "properties") != nullptr) return std::nullopt;
    if (additional != nullptr && *additional == Schema(false)) return std::nullopt;
    const NodeId value =
        additional == nullptr
            ? compiler_.any_value()
            : compiler_.values_of(*additional, join_pointer(pointer_, "additionalProperties"));
    if (naming != nullptr && *naming != Schema(true)) return read_named(*naming, value);
    const CharacterSpelling spell = [&](const CharSet& set) { return spelling_.one_of(set); };
    const bool is_json = spelling_.notation() == Notation::kJson;
    const NamesExcept names{.names = names_,
                            .first = spelling_.key_first(),
                            .rest = spelling_.key_rest(),
                            .length_max = is_json ? kUnlimited : kBareKeyLengthMax,
                            .may_be_empty = is_json};
    return grammar_.sequence({spelling_.key_of(any_name_except(grammar_, names, spell)), value});
  }

  NodeId read_pattern(const Schema& patterns, const Schema* additional, const Schema* naming) {
    const bool is_closed = additional == nullptr || *additional == Schema(false);
    if (patterns.size() > 1 || !names_.empty() || !is_closed || naming != nullptr) {
      fail_at(
          ErrorCode::kUnsupported, pointer_,
          "'patternProperties' is supported with one pattern and without 'properties', 'propertyNames' and "
          "'additionalProperties' other than false");
    }
    const std::string& pattern = patterns.begin().key();
    const Schema& schema = patterns.begin().value();
    const std::string place = join_pointer(join_pointer(pointer_, "patternProperties"), pattern);
    const Schema key = {{"type", "string"}, {"pattern", pattern}};
    return grammar_.sequence({spelling_.quoted(compile_string_content(compiler_, key, place)),
                              spelling_.colon(), compiler_.values_of(schema, place)});
  }

  NodeId read_named(const Schema& naming, NodeId value) {
    const std::string place = join_pointer(pointer_, "propertyNames");
    if (!naming.is_object() || !names_.empty()) {
      fail_at(ErrorCode::kUnsupported, pointer_,
              "'propertyNames' is supported without 'properties' and 'required'");
    }
    check_keywords(naming, place);
    for (const std::string_view keyword : {"$ref", "allOf", "anyOf", "oneOf", "nullable"}) {
      if (find_keyword(naming, keyword) != nullptr) {
        fail_at(ErrorCode::kUnsupported, place, fmt::format("'{}' for names is not supported", keyword));
      }
    }
    const Schema* values = find_array(naming, "enum", place);
    if (const Schema* constant = find_keyword(naming, "const")) {
      return grammar_.sequence(
          {compiler_.listed(Schema::array({*constant}), place), spelling_.colon(), value});
    }
    NodeId key = 0;
    if (values != nullptr) {
      Schema names = Schema::array();
      for (const Schema& name : *values) {
        if (name.is_string()) names.push_back(name);
      }
      key = compiler_.listed(names, place);
    } else {
      key = spelling_.quoted(compile_string_content(compiler_, naming, place));
    }
    return grammar_.sequence({key, spelling_.colon(), value});
  }

  uint32_t count_min() const { return find_count(schema_, "minProperties", pointer_).value_or(0); }
  uint32_t count_max() const { return find_count(schema_, "maxProperties", pointer_).value_or(kUnlimited); }

  // Members whose names may repeat themselves, which counts as one: no more than one can be demanded.
  NodeId only_others(NodeId member) {
    const uint32_t min = count_min();
    const uint32_t max = count_max();
    if (min > 1) {
      fail_at(ErrorCode::kUnsupported, pointer_,
              "'minProperties' above 1 without 'required' is not supported");
    }
    if (min > max) return grammar_.nothing();
    if (max == 0) return grammar_.empty();
    const NodeId next = grammar_.sequence({spelling_.comma(), member});
    const NodeId members =
        grammar_.sequence({member, grammar_.repeat(next, 0, max == kUnlimited ? max : max - 1)});
    return min == 0 ? grammar_.optional(members) : members;
  }

  void check_counts(bool has_others) const {
    if (count_min() > required_.size()) {
      fail_at(ErrorCode::kUnsupported, pointer_,
              "'minProperties' above the number of required ones is not supported");
    }
    if (count_max() != kUnlimited && (has_others || count_max() < names_.size())) {
      fail_at(ErrorCode::kUnsupported, pointer_,
              "'maxProperties' below the number of properties is not supported");
    }
  }

  SchemaCompiler& compiler_;
  Grammar& grammar_;
  Spelling& spelling_;
  const Schema& schema_;
  const std::string& pointer_;
  std::vector<std::string> required_;  // ascending
  std::vector<std::string> names_;     // of all properties that are known by name
  std::vector<ListItem> items_;
};

}  // namespace

NodeId compile_object(SchemaCompiler& compiler, const Schema& schema, const std::string& pointer) {
  return ObjectReader(compiler, schema, pointer).read();
}

}  // namespace beryl::text::grammar
