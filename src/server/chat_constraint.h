// What the answers to a chat must follow: their format, the calls of its tools.
#pragma once

#include "engine/token_constraint.h"
#include "server/api_context.h"
#include "server/chat_request.h"
#include "text/output_parser.h"

namespace beryl::server {

// Empty: anything goes. Thoughts are free in any case. `start`: of the answers. Errors: as
// Grammars::constrain(). Tools that need not be called are no reason to fail: when no grammar can be made of
// them, there is a warning in the log, and the model's calls are taken as they come.
engine::ConstraintFactory make_chat_constraints(const ChatRequest& request, text::OutputStart start,
                                                ApiContext& context);

}  // namespace beryl::server
