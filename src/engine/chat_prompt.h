// What a model is given to read for a conversation.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "text/chat_template.h"
#include "text/conversation.h"
#include "text/output_parser.h"
#include "text/tokenizer.h"

namespace beryl::engine {

struct ChatPrompt {
  std::vector<int32_t> tokens;
  text::OutputStart output_start = text::OutputStart::kContent;  // of the answer
};

// Errors: as ChatTemplate::render().
ChatPrompt make_chat_prompt(const text::Tokenizer& tokenizer, const text::ChatTemplate& chat_template,
                            const text::Conversation& conversation, const text::ChatOptions& options);

// The length of the beginning of `prompt`, which was made of the same conversation, that the prompt of the
// next turn will have too, whatever is answered and asked: templates write the end of a prompt anew once
// there is an answer. Absent when nothing is shared, or the template refuses such a turn.
std::optional<int64_t> find_next_turn(const std::vector<int32_t>& prompt, const text::Tokenizer& tokenizer,
                                      const text::ChatTemplate& chat_template,
                                      const text::Conversation& conversation,
                                      const text::ChatOptions& options);

}  // namespace beryl::engine
