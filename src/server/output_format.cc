#include "server/output_format.h"

#include <fmt/format.h>

#include <limits>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/quote.h"

namespace beryl::server {
namespace {

using text::grammar::OutputConstraint;

// A schema as an object, or as the text of one.
std::string read_schema(const Json& schema, const std::string& field) {
  if (schema.is_string()) return schema.get<std::string>();
  if (!schema.is_object()) {
    fail_field(field, fmt::format("expected a JSON schema, found {}", json_kind(schema.type())));
  }
  return schema.dump();
}

OutputFormat read_json_schema(JsonFields& format) {
  const Json* const object = format.find("json_schema");
  if (object == nullptr) fail_field(format.path_of("json_schema"), "is missing");
  JsonFields fields(*object, format.path_of("json_schema"));
  fields.find_text("name");
  fields.find_text("description");
  fields.find_boolean("strict");  // answers fit their schema always
  const Json* const schema = fields.find("schema");
  const std::string field = fields.path_of("schema");
  if (schema == nullptr) fail_field(field, "is missing");
  return {field, text::grammar::JsonSchemaConstraint{read_schema(*schema, field)}};
}

std::optional<OutputFormat> read_response_format(JsonFields& fields) {
  const Json* const object = fields.find("response_format");
  if (object == nullptr) return std::nullopt;
  JsonFields format(*object, fields.path_of("response_format"));
  const std::optional<std::string> type = format.find_text("type");
  if (!type) fail_field(format.path_of("type"), "is missing");
  if (*type == "text") return std::nullopt;
  if (*type == "json_schema") return read_json_schema(format);
  if (*type != "json_object") {
    fail_field(format.path_of("type"),
               fmt::format("expected text, json_object or json_schema, found {}", quote(*type)));
  }
  format.refuse("schema", "a schema goes into response_format.json_schema, with type json_schema");
  return OutputFormat{fields.path_of("response_format"), text::grammar::JsonObjectConstraint{}};
}

std::vector<OutputFormat> read_all_structured_outputs(JsonFields& fields) {
  std::vector<OutputFormat> formats;
  const auto add = [&](const char* name, OutputConstraint constraint) {
    formats.push_back({fields.path_of(name), std::move(constraint)});
  };
  if (const Json* const schema = fields.find("json")) {
    add("json", text::grammar::JsonSchemaConstraint{read_schema(*schema, fields.path_of("json"))});
  }
  if (std::optional<std::string> pattern = fields.find_text("regex")) {
    add("regex", text::grammar::RegexConstraint{*std::move(pattern)});
  }
  if (fields.find("choice") != nullptr) {
    constexpr size_t kAnyNumber = std::numeric_limits<size_t>::max();  // the grammar's own limits hold
    add("choice", text::grammar::ChoiceConstraint{fields.find_texts("choice", kAnyNumber)});
  }
  if (std::optional<std::string> text = fields.find_text("grammar")) {
    add("grammar", text::grammar::GbnfConstraint{*std::move(text)});
  }
  if (fields.find_boolean("json_object").value_or(false)) {
    add("json_object", text::grammar::JsonObjectConstraint{});
  }
  return formats;
}

// vLLM's.
std::optional<OutputFormat> read_structured_outputs(JsonFields& fields) {
  const Json* const object = fields.find("structured_outputs");
  if (object == nullptr) return std::nullopt;
  JsonFields inner(*object, fields.path_of("structured_outputs"));
  inner.refuse("structural_tag", "not supported; tool_choice and response_format may do");
  inner.refuse("whitespace_pattern", "not supported; there is little white space in any case");
  for (const char* name : {"disable_any_whitespace", "disable_additional_properties"}) {
    if (inner.find_boolean(name).value_or(false)) inner.refuse(name, "not supported");
  }
  std::vector<OutputFormat> formats = read_all_structured_outputs(inner);
  if (formats.empty()) {
    fail_field(fields.path_of("structured_outputs"),
               "expected one of json, regex, choice, grammar and json_object");
  }
  if (formats.size() > 1) {
    fail_field(formats[1].field,
               fmt::format("cannot be asked for together with {}: an answer follows one constraint",
                           formats[0].field));
  }
  return std::move(formats.front());
}

// Names that others have for the same.
void refuse_other_names(JsonFields& fields) {
  struct OtherName {
    const char* name;
    const char* instead;
  };
  for (const OtherName& other : {OtherName{"guided_json", "structured_outputs.json"},
                                 OtherName{"guided_regex", "structured_outputs.regex"},
                                 OtherName{"guided_choice", "structured_outputs.choice"},
                                 OtherName{"guided_grammar", "structured_outputs.grammar"},
                                 OtherName{"grammar", "structured_outputs.grammar"},
                                 OtherName{"json_schema", "response_format.json_schema"}}) {
    fields.refuse(other.name, fmt::format("superseded by {}", other.instead));
  }
}

}  // namespace

std::optional<OutputFormat> read_output_format(JsonFields& fields) {
  refuse_other_names(fields);
  std::optional<OutputFormat> format = read_response_format(fields);
  std::optional<OutputFormat> structured = read_structured_outputs(fields);
  if (format && structured) {
    fail_field(
        structured->field,
        fmt::format("cannot be asked for together with {}: an answer follows one constraint", format->field));
  }
  return structured ? std::move(structured) : std::move(format);
}

}  // namespace beryl::server
