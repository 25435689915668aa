// Gemma 4's tool calls, with arguments as the tools' schemas want them.
//
//   <|tool_call>call:get_weather{city:<|"|>Paris<|"|>,days:3}<tool_call|>
//
// Arguments are written without white space, keys without quotes and sorted as in the tools' declarations,
// strings between <|"|> and without escapes: as chat templates write calls, and OutputParser reads them.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "text/grammar/grammar.h"
#include "text/grammar/json_schema.h"

namespace beryl::text::grammar {

struct ToolCallOptions {
  // The token <|tool_call> has been generated, and the grammar begins behind it: to be used from there on in
  // an answer that need not call tools. Otherwise it begins with that token: a call is forced.
  bool begins_inside_call = true;
  // Whether further calls may follow the first one.
  bool allows_several = true;
  // If not empty, the one tool that may be called.
  std::string only_tool = {};
  // Tools are declared by people who do not think of grammars, so the default lets anything pass where their
  // schemas ask for what cannot be done.
  Unsupported unsupported = Unsupported::kRelax;
};

// Sets the root. `tools` are declarations {"type": "function", "function": {"name", "parameters"}}. Without
// parameters a call has none. Errors: kInvalidInput when there is no tool (of that name), a declaration has
// no name, or its parameters are not of an object; and as parse_json_schema(), with the tool's name.
void parse_tool_calls(Grammar& grammar, std::span<const nlohmann::ordered_json> tools,
                      const ToolCallOptions& options, std::vector<std::string>* relaxed = nullptr);

}  // namespace beryl::text::grammar
