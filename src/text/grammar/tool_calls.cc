#include "text/grammar/tool_calls.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/quote.h"
#include "text/grammar/schema_keywords.h"
#include "text/output_parser.h"

namespace beryl::text::grammar {
namespace {

NodeId arguments_of(Grammar& grammar, const Schema& function, const ToolCallOptions& options,
                    std::vector<std::string>* relaxed) {
  const Schema* parameters = find_keyword(function, "parameters");
  if (parameters == nullptr || parameters->is_null() || parameters->empty()) return grammar.literal("{}");
  Schema schema = *parameters;
  if (!schema.is_object()) throw Error(ErrorCode::kInvalidInput, "'parameters' is not an object");
  const Schema* type = find_keyword(schema, "type");
  if (type != nullptr && *type != Schema("object")) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("the type of 'parameters' is {}, expected \"object\"",
                                                      printable(type->dump(), 40)));
  }
  // Arguments are an object whether or not the schema says so.
  schema["type"] = "object";
  return parse_json_schema(grammar, schema, {Notation::kToolArguments, options.unsupported}, relaxed);
}

// From "call:" to <tool_call|>.
NodeId call_of(Grammar& grammar, const Schema& tool, const ToolCallOptions& options,
               std::vector<std::string>* relaxed) {
  const Schema& function = *find_keyword(tool, "function");
  const auto& name = find_keyword(function, "name")->get_ref<const std::string&>();
  const NodeId arguments = with_context(fmt::format("tool {}", quote(name)), [&] {
    grammar.budget().add_text(function.dump().size());
    return arguments_of(grammar, function, options, relaxed);
  });
  return grammar.sequence(
      {grammar.literal("call:" + name), arguments, grammar.token(marker_text(OutputMarker::kToolCallClose))});
}

const std::string& name_of(const Schema& tool, size_t index) {
  const Schema* function = find_keyword(tool, "function");
  const Schema* name = function == nullptr ? nullptr : find_keyword(*function, "name");
  if (name == nullptr || !name->is_string() || name->get_ref<const std::string&>().empty()) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("tool {} has no name", index));
  }
  return name->get_ref<const std::string&>();
}

}  // namespace

void parse_tool_calls(Grammar& grammar, std::span<const Schema> tools, const ToolCallOptions& options,
                      std::vector<std::string>* relaxed) {
  std::vector<NodeId> calls;
  for (size_t i = 0; i < tools.size(); ++i) {
    const std::string& name = name_of(tools[i], i);
    if (!options.only_tool.empty() && name != options.only_tool) continue;
    calls.push_back(call_of(grammar, tools[i], options, relaxed));
  }
  if (calls.empty()) {
    throw Error(ErrorCode::kInvalidInput, options.only_tool.empty()
                                              ? "there is no tool that could be called"
                                              : fmt::format("there is no tool {}", quote(options.only_tool)));
  }
  // A rule, since it stands at two places.
  const RuleId call = grammar.add_rule("a tool call");
  grammar.define(call, grammar.choice(calls));
  const NodeId marker = grammar.token(marker_text(OutputMarker::kToolCallOpen));
  const NodeId whole_call = grammar.sequence({marker, grammar.rule(call)});
  const NodeId first = options.begins_inside_call ? grammar.rule(call) : whole_call;
  grammar.set_root(
      options.allows_several ? grammar.sequence({first, grammar.repeat(whole_call, 0, kUnlimited)}) : first);
}

}  // namespace beryl::text::grammar
