#include "server/chat_constraint.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/error.h"
#include "engine/either_constraint.h"
#include "engine/grammar_constraint.h"

namespace beryl::server {
namespace {

// Calls of the request's tools; with `begins_inside_call` behind the token that opens the first one.
OutputFormat call_format(const ChatRequest& request, bool begins_inside_call) {
  text::grammar::ToolCallConstraint calls = {.tools = request.conversation.tools};
  calls.options.begins_inside_call = begins_inside_call;
  calls.options.allows_several = request.tool_use == ToolUse::kAll;
  calls.options.only_tool = request.only_tool;
  return {"tools", std::move(calls)};
}

engine::ConstraintFactory constrain_free_calls(const ChatRequest& request, ApiContext& context) {
  // Then an answer may go on where a grammar of calls would end it.
  if (request.conversation.tools.empty() || goes_past_end(request.settings)) return {};
  try {
    return context.grammars.constrain(call_format(request, true), engine::GrammarStart::kAfterToolCall);
  } catch (const Error& error) {
    if (context.noted_warnings.is_new(error.message())) {
      context.warn(fmt::format("calls of tools do not follow a grammar: {}", error.message()));
    }
    return {};
  }
}

}  // namespace

engine::ConstraintFactory make_chat_constraints(const ChatRequest& request, text::OutputStart start,
                                                ApiContext& context) {
  const std::optional<OutputFormat>& format = request.settings.format;
  const engine::GrammarStart begin =
      engine::find_grammar_start(start, request.template_options.enables_thinking);
  if (request.forces_call) return context.grammars.constrain(call_format(request, false), begin);
  if (!format) return constrain_free_calls(request, context);
  engine::ConstraintFactory constraint = context.grammars.constrain(*format, begin);
  if (request.conversation.tools.empty()) return constraint;
  // The model may call a tool instead.
  return engine::make_either_constraints(std::move(constraint),
                                         context.grammars.constrain(call_format(request, false), begin));
}

}  // namespace beryl::server
