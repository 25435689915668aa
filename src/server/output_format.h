// What an answer must look like, as requests ask for it.
#pragma once

#include <optional>
#include <string>

#include "server/json_fields.h"
#include "text/grammar/grammar_cache.h"

namespace beryl::server {

struct OutputFormat {
  std::string field;  // that asks for it: "structured_outputs.regex"
  text::grammar::OutputConstraint constraint;
};

// From `response_format` or `structured_outputs`; absent when text of any kind will do. What the constraint
// says is not looked at yet. Errors: kInvalidInput and kUnsupported, naming the field; also when two
// constraints are asked for.
std::optional<OutputFormat> read_output_format(JsonFields& fields);

}  // namespace beryl::server
