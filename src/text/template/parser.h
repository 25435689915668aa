// From a template's source to its statements.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/template/ast.h"

namespace beryl::text {

// `name` stands for the template in errors, usually its file's name.
// Errors: kInvalidInput with name:line:column; kUnsupported for statements that load other templates.
std::unique_ptr<const ParsedTemplate> parse_template(std::string_view source, std::string name);

}  // namespace beryl::text
