// JSON schemas: values that are valid, written as JSON or as arguments of a tool call.
//
// What is generated is valid; not all that is valid can be generated. Properties come in the order in which
// they are declared (in tool calls: sorted, as chat templates list them), optional ones may be left out, and
// others come only when additionalProperties says so or there is no `properties`. Numbers have a bounded
// length, white space too. docs/constrained-output.md lists keywords and formats. Any other keyword is
// refused by name, never ignored.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "text/grammar/grammar.h"
#include "text/grammar/spelling.h"

namespace beryl::text::grammar {

// What to do about a part of a schema that is not supported.
enum class Unsupported : uint8_t {
  kRefuse,
  kRelax,  // allow any value there, any object where the type is object
};

struct SchemaOptions {
  Notation notation = Notation::kJson;
  Unsupported unsupported = Unsupported::kRefuse;
};

// A node for all values that `schema` allows. With kRelax `relaxed`, if given, gets a message for each part
// that allows any value instead. Errors: kInvalidInput for what is no schema, kUnsupported for what is not
// supported, both with the JSON pointer of the place.
NodeId parse_json_schema(Grammar& grammar, const nlohmann::ordered_json& schema, const SchemaOptions& options,
                         std::vector<std::string>* relaxed = nullptr);

// The same for a whole output, from text: sets the root. Errors: also those of parse_ordered_json().
void parse_json_schema_output(Grammar& grammar, std::string_view text);

// Any JSON object: sets the root.
void any_json_object_output(Grammar& grammar);

}  // namespace beryl::text::grammar
