#include "text/grammar/schema_compiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/json.h"
#include "base/quote.h"
#include "text/grammar/schema_merge.h"
#include "text/grammar/text_sets.h"

namespace beryl::text::grammar {
namespace {

constexpr size_t kExclusiveBranchesMax = 256;  // of a oneOf: each is compared with each other

// What reads the output (ToolArguments, JSON parsers of servers and clients) allows 64 arrays and objects
// within each other. Each but the outermost has a frame at least, for the value that it is.
constexpr uint32_t kFramesMax = 63;

// "%41" as "A"; the rest as it is.
std::string percent_decoded(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* const end = text.data() + std::min(i + 3, text.size());
    if (text[i] == '%' && std::from_chars(text.data() + i + 1, end, value, 16).ptr == text.data() + i + 3) {
      result += static_cast<char>(value);
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

// One step of a JSON pointer.
std::string unescaped(std::string_view step) {
  std::string result;
  for (size_t i = 0; i < step.size(); ++i) {
    if (step[i] == '~' && i + 1 < step.size() && (step[i + 1] == '0' || step[i + 1] == '1')) {
      result += step[++i] == '0' ? '~' : '/';
    } else {
      result += step[i];
    }
  }
  return result;
}

const Schema* find_step(const Schema& schema, const std::string& step) {
  if (schema.is_object()) return find_keyword(schema, step);
  size_t index = 0;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
  const bool is_index = error == std::errc() && end == step.data() + step.size();
  return schema.is_array() && is_index && index < schema.size() ? &schema[index] : nullptr;
}

}  // namespace

SchemaCompiler::SchemaCompiler(Grammar& grammar, const Schema& root, const SchemaOptions& options,
                               std::vector<std::string>* relaxed)
    : grammar_(grammar),
      root_(root),
      options_(options),
      relaxed_(relaxed),
      spelling_(grammar, options.notation) {}

NodeId SchemaCompiler::compile() {
  const NodeId root = values_of(root_, "");
  while (!work_.empty()) {
    const Work work = std::move(work_.front());
    work_.pop_front();
    NodeId body = 0;
    try {
      body = compile_schema(work.schema, work.pointer);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported || options_.unsupported == Unsupported::kRefuse) throw;
      if (relaxed_ != nullptr) relaxed_->push_back(error.message());
      const Schema* type = find_keyword(work.schema, "type");
      body = type != nullptr && *type == Schema("object") ? any_object() : any_value();
    }
    grammar_.define(work.rule, body);
  }
  if (any_value_) define_any_value();
  return root;
}

NodeId SchemaCompiler::values_of(const Schema& schema, std::string pointer) {
  Schema bare = without_annotations(schema);
  // Errors in text that is no JSON cannot be: strings were read as UTF-8.
  const auto [entry, is_new] = rules_.try_emplace(bare.dump(), 0);
  if (is_new) {
    grammar_.budget().add_nodes(1 + entry->first.size() / 64);
    entry->second = grammar_.add_rule(pointer.empty() ? "/" : pointer);
    work_.push_back({entry->second, std::move(bare), std::move(pointer)});
  }
  return grammar_.rule(entry->second);
}

NodeId SchemaCompiler::compile_schema(const Schema& schema, const std::string& pointer) {
  if (schema.is_boolean()) return schema.get<bool>() ? any_value() : grammar_.nothing();
  if (!schema.is_object()) fail_at(ErrorCode::kInvalidInput, pointer, "a schema is an object or a boolean");
  check_keywords(schema, pointer);
  const Schema* reference = find_keyword(schema, "$ref");
  if (reference != nullptr && schema.size() == 1) {
    if (!reference->is_string()) fail_at(ErrorCode::kInvalidInput, pointer, "'$ref' is not a string");
    const auto& text = reference->get_ref<const std::string&>();
    return values_of(resolve(text, pointer), percent_decoded(text.substr(1)));
  }
  if (reference != nullptr || schema.contains("allOf")) {
    return values_of(flatten(schema, pointer, merge_context()), pointer);
  }
  if (const Schema* nullable = find_keyword(schema, "nullable")) {
    Schema rest = schema;
    rest.erase("nullable");
    const NodeId node = values_of(rest, pointer);
    return *nullable == Schema(true) ? grammar_.choice({grammar_.literal("null"), node}) : node;
  }
  if (schema.contains("anyOf")) return compile_alternatives(schema, "anyOf", pointer);
  if (schema.contains("oneOf")) return compile_alternatives(schema, "oneOf", pointer);
  if (schema.contains("enum") || schema.contains("const")) return compile_listed(schema, pointer);
  const std::vector<std::string> types = types_of(schema, pointer);
  if (types.empty()) return any_value();
  std::vector<NodeId> nodes;
  for (const std::string& type : types) nodes.push_back(compile_type(type, schema, pointer));
  return grammar_.choice(nodes);
}

NodeId SchemaCompiler::compile_alternatives(const Schema& schema, std::string_view keyword,
                                            const std::string& pointer) {
  const Schema& branches = *find_array(schema, keyword, pointer);
  if (branches.empty()) fail_at(ErrorCode::kInvalidInput, pointer, fmt::format("'{}' is empty", keyword));
  Schema base = schema;
  base.erase(std::string(keyword));
  std::vector<NodeId> nodes;
  Schema whole = Schema::array();
  for (size_t i = 0; i < branches.size(); ++i) {
    const std::string place = fmt::format("{}/{}/{}", pointer, keyword, i);
    // Both parts must hold, whichever branch it is.
    const Schema branch = base.empty() ? branches[i] : Schema{{"allOf", Schema::array({base, branches[i]})}};
    nodes.push_back(values_of(branch, place));
    whole.push_back(branches[i]);
  }
  if (keyword == "oneOf") check_exclusive(whole, pointer);
  return grammar_.choice(nodes);
}

// What is written for one branch must not be valid for another.
void SchemaCompiler::check_exclusive(const Schema& branches, const std::string& pointer) {
  if (branches.size() > kExclusiveBranchesMax) {
    fail_at(ErrorCode::kUnsupported, pointer,
            fmt::format("'oneOf' has more than {} branches", kExclusiveBranchesMax));
  }
  const MergeContext context = merge_context();
  for (size_t i = 0; i < branches.size(); ++i) {
    for (size_t k = i + 1; k < branches.size(); ++k) {
      if (are_disjoint(branches[i], branches[k], pointer, context)) continue;
      fail_at(
          ErrorCode::kUnsupported, pointer,
          fmt::format("branches {} and {} of 'oneOf' may both be valid: give them a required property with "
                      "different constants, or use 'anyOf'",
                      i, k));
    }
  }
}

NodeId SchemaCompiler::compile_listed(const Schema& schema, const std::string& pointer) {
  for (const auto& [name, value] : schema.items()) {
    if (name == "enum" || name == "const" || name == "type") continue;
    fail_at(ErrorCode::kUnsupported, pointer,
            fmt::format("'{}' beside 'enum' or 'const' is not supported", name));
  }
  const Schema* values = find_array(schema, "enum", pointer);
  const Schema* constant = find_keyword(schema, "const");
  const bool has_types = find_keyword(schema, "type") != nullptr;
  const std::vector<std::string> types = has_types ? types_of(schema, pointer) : std::vector<std::string>();
  Schema wanted = Schema::array();
  const auto add = [&](const Schema& value) {
    if (!has_types || has_type(value, types)) wanted.push_back(value);
  };
  if (constant != nullptr) {
    if (values == nullptr || std::find(values->begin(), values->end(), *constant) != values->end())
      add(*constant);
  } else {
    for (const Schema& value : *values) add(value);
  }
  return listed(wanted, pointer);
}

NodeId SchemaCompiler::listed(const Schema& values, std::string_view pointer) {
  const bool is_json = options_.notation == Notation::kJson;
  std::vector<std::string> plain;
  std::vector<std::string> strings;  // that are not written like JSON
  std::vector<NodeId> nodes;
  for (const Schema& value : values) {
    if (value.is_string() && !is_json) {
      strings.push_back(value.get<std::string>());
    } else if (value.is_primitive()) {
      plain.push_back(value.dump());
    } else if (value.is_array()) {
      Schema items = Schema::array();
      for (const Schema& item : value) items.push_back({{"const", item}});
      nodes.push_back(
          values_of({{"type", "array"}, {"prefixItems", items}, {"minItems", items.size()}, {"items", false}},
                    std::string(pointer)));
    } else {
      Schema properties = Schema::object();
      Schema required = Schema::array();
      for (const auto& [name, item] : value.items()) {
        properties[name] = {{"const", item}};
        required.push_back(name);
      }
      nodes.push_back(values_of({{"type", "object"},
                                 {"properties", properties},
                                 {"required", required},
                                 {"additionalProperties", false}},
                                std::string(pointer)));
    }
  }
  if (!plain.empty()) nodes.push_back(one_of_texts(grammar_, plain));
  if (!strings.empty()) nodes.push_back(spelling_.quoted(one_of_texts(grammar_, strings)));
  return grammar_.choice(nodes);
}

NodeId SchemaCompiler::compile_type(const std::string& type, const Schema& schema,
                                    const std::string& pointer) {
  if (type == "string") return compile_string(*this, schema, pointer);
  if (type == "integer") return compile_number(*this, schema, true, pointer);
  if (type == "number") return compile_number(*this, schema, false, pointer);
  if (type == "array") return compile_array(*this, schema, pointer);
  if (type == "object") return compile_object(*this, schema, pointer);
  if (type == "null") return grammar_.literal("null");
  return grammar_.choice({grammar_.literal("true"), grammar_.literal("false")});
}

MergeContext SchemaCompiler::merge_context() {
  return {[this](std::string_view reference, std::string_view from) -> const Schema& {
            return resolve(reference, from);
          },
          grammar_.budget()};
}

const Schema& SchemaCompiler::resolve(std::string_view reference, std::string_view pointer) const {
  if (reference != "#" && !reference.starts_with("#/")) {
    fail_at(ErrorCode::kUnsupported, pointer,
            fmt::format("'$ref' {}: only references within the schema ('#/...') are supported",
                        quote(reference)));
  }
  const Schema* at = &root_;
  const std::string path = percent_decoded(reference.substr(1));
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin + 1), path.size());
    at = find_step(*at, unescaped(std::string_view(path).substr(begin + 1, end - begin - 1)));
    if (at == nullptr)
      fail_at(ErrorCode::kInvalidInput, pointer, fmt::format("'$ref' {} leads nowhere", quote(reference)));
    begin = end;
  }
  return *at;
}

NodeId SchemaCompiler::any_value() {
  if (!any_value_) {
    any_value_ = grammar_.add_rule("any value");
    any_object_ = grammar_.add_rule("any object");
  }
  return grammar_.rule(*any_value_);
}

NodeId SchemaCompiler::any_object() {
  any_value();
  return grammar_.rule(*any_object_);
}

void SchemaCompiler::define_any_value() {
  const Schema nothing_said = Schema::object();
  // Only parts that say nothing are read here, so no new work comes of it.
  const NodeId object = compile_object(*this, nothing_said, "");
  grammar_.define(*any_object_, object);
  grammar_.define(
      *any_value_,
      grammar_.choice({any_object(), array_of(*this, any_value(), 0, kUnlimited), spelling_.any_string(),
                       compile_number(*this, nothing_said, false, ""), grammar_.literal("true"),
                       grammar_.literal("false"), grammar_.literal("null")}));
}

NodeId parse_json_schema(Grammar& grammar, const Schema& schema, const SchemaOptions& options,
                         std::vector<std::string>* relaxed) {
  grammar.limit_stack_depth(kFramesMax);
  return SchemaCompiler(grammar, schema, options, relaxed).compile();
}

void parse_json_schema_output(Grammar& grammar, std::string_view text) {
  grammar.budget().add_text(text.size());
  const Schema schema = parse_ordered_json(text, "JSON schema");
  grammar.set_root(parse_json_schema(grammar, schema, {}));
}

void any_json_object_output(Grammar& grammar) {
  const Schema schema = {{"type", "object"}};
  grammar.set_root(parse_json_schema(grammar, schema, {}));
}

}  // namespace beryl::text::grammar
